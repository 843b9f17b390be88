"""``devstack airflow pools``."""

from __future__ import annotations

import click

from devstack.cli.lazy import LazyGroup

COMMANDS = {
    "list": "List the pools, and the tasks in them.",
    "set": "Create a pool, or change it.",
    "delete": "Delete pools.",
}


@click.command(
    "pools",
    cls=LazyGroup,
    modules="devstack.cli.airflow.pools.",
    helps=COMMANDS,
    epilog="Example: devstack airflow pools set few 2",
)
def command() -> None:
    """List and change pools, which limit how many of their tasks run at once."""
