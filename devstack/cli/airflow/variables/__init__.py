"""``devstack airflow variables``."""

from __future__ import annotations

import click

from devstack.cli.lazy import LazyGroup

COMMANDS = {
    "list": "List the variables.",
    "get": "Print the value of a variable.",
    "set": "Create a variable, or change it.",
    "delete": "Delete variables.",
    "import": "Set variables from a JSON file.",
    "export": "Write the variables to a JSON file.",
}


@click.command(
    "variables",
    cls=LazyGroup,
    modules="devstack.cli.airflow.variables.",
    helps=COMMANDS,
    epilog="Example: devstack airflow variables set region eu-west-1",
)
def command() -> None:
    """List, read and change the variables that DAGs read, which Airflow stores encrypted."""
