"""``devstack airflow variables set``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.cli.private_input import read_private
from devstack.errors import DevstackError, ExitStatus


@click.command(
    "set",
    epilog="Examples: devstack airflow variables set region eu-west-1"
    " | devstack airflow variables set api_token --file token.txt",
)
@click.argument("key")
@click.argument("value", required=False)
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File with the value; - is stdin.",
)
@click.option("--description", help="What it is for.")
@stack_options
@pass_output
def command(
    output: Output,
    key: str,
    value: str | None,
    file: Path | None,
    description: str | None,
    config_file: Path | None,
    **options: Any,
) -> int:
    """Set the variable KEY to VALUE, or to the content of a file.

    Without VALUE and FILE it is asked for, or read from standard input. The value
    of a key that names a secret is not accepted as an argument.
    """
    from devstack.airflow.variables import is_sensitive, set_variable

    if value is not None and file is not None:
        raise click.UsageError("give either VALUE or --file")
    if value is not None and is_sensitive(key):
        raise DevstackError(
            f"the value of {key!r} is not accepted as an argument",
            cause="its key names a secret, and arguments are visible to other processes",
            remedy=f"devstack airflow variables set {key} --file FILE, or without a value",
            code="SECRET_IN_ARGUMENTS",
            exit_status=ExitStatus.USAGE,
        )
    client = open_deployer(config_file, **options).client
    text = read_private("Value", file) if value is None else value
    created = set_variable(client, key, text, description)
    output.data(key=key, created=created)
    output.text(f"{key} is {'created' if created else 'changed'}")
    output.finish()
    return int(ExitStatus.OK)
