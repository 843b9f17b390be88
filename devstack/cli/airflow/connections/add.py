"""``devstack airflow connections add``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.cli.private_input import STDIN, read_private
from devstack.errors import DevstackError, ExitStatus

FILE = click.Path(path_type=Path)


@click.command(
    "add",
    epilog="Example: devstack airflow connections add shop --type postgres --host db.example"
    " --login me --schema shop --password",
)
@click.argument("connection")
@click.option("--type", "conn_type", required=True, help="Such as postgres, aws, http, kubernetes.")
@click.option("--host", help="Host name or address.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port.")
@click.option("--login", help="User name.")
@click.option("--schema", help="Database, or another part of the address.")
@click.option("--description", help="What it is for.")
@click.option(
    "--password", is_flag=True, help="Ask for the password; without a terminal, read it from stdin."
)
@click.option(
    "--password-file", type=FILE, metavar="FILE", help="File with the password; - is stdin."
)
@click.option(
    "--extra-file", type=FILE, metavar="FILE", help="File with further fields as JSON; - is stdin."
)
@click.option("--replace", is_flag=True, help="Replace an existing connection.")
@stack_options
@pass_output
def command(
    output: Output,
    connection: str,
    conn_type: str,
    password: bool,
    password_file: Path | None,
    extra_file: Path | None,
    replace: bool,
    config_file: Path | None,
    name: str | None,
    **fields: Any,
) -> int:
    """Add CONNECTION to Airflow's database.

    Password and further fields are read from a file, from standard input or from
    the terminal, since arguments are visible to every process of the machine.
    """
    from devstack.airflow.connections import save_connection

    client = open_deployer(config_file, name=name).client
    if password_file == STDIN == extra_file:
        raise click.UsageError("only one of --password-file and --extra-file can be -")
    secret = read_private("Password", password_file) if password or password_file else None
    extra = _checked_extra(read_private("Extra", extra_file)) if extra_file else None
    given = {**fields, "conn_type": conn_type, "password": secret, "extra": extra}
    saved = save_connection(client, {"connection_id": connection, **given}, replace=replace)
    if not saved:
        raise DevstackError(
            f"Airflow has a connection {connection!r}",
            cause="a connection is replaced only on request",
            remedy="devstack airflow connections add --replace, with all of its fields",
            code="CONNECTION_EXISTS",
            exit_status=ExitStatus.USAGE,
        )
    output.data(connection_id=connection, type=conn_type)
    output.text(f"{connection} is saved")
    output.text(f"\nNext: devstack airflow connections test {connection}")
    output.finish()
    return int(ExitStatus.OK)


def _checked_extra(text: str) -> str:
    try:
        if isinstance(json.loads(text), dict):
            return text
        cause = "it is not an object"
    except ValueError as error:
        # The message has a position, and no content.
        cause = str(error)
    raise DevstackError(
        "cannot use the extra fields",
        cause=f"they are not JSON: {cause}",
        remedy='write them like {"sslmode": "require"}',
        code="CONNECTION_EXTRA",
        exit_status=ExitStatus.USAGE,
    )
