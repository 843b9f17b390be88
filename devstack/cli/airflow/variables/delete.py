"""``devstack airflow variables delete``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.names import unknown_name
from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("delete", epilog="Example: devstack airflow variables delete region")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@stack_options
@pass_output
def command(output: Output, keys: tuple[str, ...], config_file: Path | None, **options: Any) -> int:
    """Delete each variable KEY."""
    from devstack.airflow.variables import delete_variable, list_variables

    client = open_deployer(config_file, **options).client
    known = {each.key for each in list_variables(client)}
    for key in keys:
        if key not in known:
            raise unknown_name("variable", key, known)
    for key in keys:
        delete_variable(client, key)
        output.text(f"{key} is deleted")
    output.data(deleted=list(keys))
    output.finish()
    return int(ExitStatus.OK)
