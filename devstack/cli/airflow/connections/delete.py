"""``devstack airflow connections delete``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.names import unknown_name
from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("delete", epilog="Example: devstack airflow connections delete shop")
@click.argument("connections", nargs=-1, required=True, metavar="CONNECTION...")
@stack_options
@pass_output
def command(
    output: Output, connections: tuple[str, ...], config_file: Path | None, **options: Any
) -> int:
    """Delete each CONNECTION from Airflow's database."""
    from devstack.airflow.connections import delete_connection, list_connections

    client = open_deployer(config_file, **options).client
    known = {each.connection_id for each in list_connections(client)}
    for name in connections:
        if name not in known:
            raise unknown_name("connection", name, known)
    for name in connections:
        delete_connection(client, name)
        output.text(f"{name} is deleted")
    output.data(deleted=list(connections))
    output.finish()
    return int(ExitStatus.OK)
