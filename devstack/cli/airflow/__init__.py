"""``devstack airflow``."""

from __future__ import annotations

import click

from devstack.cli.lazy import LazyGroup

COMMANDS = {
    "deploy": "Make a DAG of a flow, and wait until the scheduler knows it.",
    "trigger": "Start a run of a DAG.",
    "runs": "List the runs.",
    "logs": "Show what the tasks of a run said.",
    "list": "List the DAGs, and the files that cannot be imported.",
    "delete": "Remove a DAG, its runs and its history.",
    "open": "Open Airflow's web page.",
}


@click.command(
    "airflow",
    cls=LazyGroup,
    modules="devstack.cli.airflow.",
    helps=COMMANDS,
    epilog="Example: devstack airflow deploy my_flow.py && devstack airflow trigger MyFlow --wait",
)
def command() -> None:
    """Deploy flows as DAGs; start, follow and remove them.

    A DAG is named by its id, or by the flow where one DAG alone ends in it.
    """
