"""``devstack airflow connections``."""

from __future__ import annotations

import click

from devstack.cli.lazy import LazyGroup

COMMANDS = {
    "list": "List the connections.",
    "add": "Add a connection; its password is no argument.",
    "test": "Test a connection where tasks run.",
    "delete": "Delete connections.",
}


@click.command(
    "connections",
    cls=LazyGroup,
    modules="devstack.cli.airflow.connections.",
    helps=COMMANDS,
    epilog="Example: devstack airflow connections add shop --type postgres --host db --password",
)
def command() -> None:
    """List, add, test and delete connections, which Airflow stores encrypted."""
