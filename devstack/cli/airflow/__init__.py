"""``devstack airflow``."""

from __future__ import annotations

import click

from devstack.cli.airflow.options import INSTALLATION
from devstack.cli.lazy import LazyGroup

COMMANDS = {
    "deploy": "Deploy a flow as a DAG, and wait until the scheduler has parsed it.",
    "trigger": "Trigger a run of a DAG.",
    "backfill": "Run a DAG for dates in the past.",
    "test": "Run one task without recording its state.",
    "runs": "List runs.",
    "stop": "Stop a run.",
    "logs": "Show the logs of a run's tasks.",
    "list": "List DAGs, and DAG files that cannot be imported.",
    "show": "Show the flows that DAGs were compiled from.",
    "delete": "Delete DAGs with their runs and history.",
    "open": "Open Airflow's UI, or Flower.",
    "scale": "Set the number of Celery workers.",
    "image": "Build an image with DAG files.",
    "volume": "Copy DAG files to the volume that Airflow reads.",
    "pools": "List and change pools.",
    "connections": "List, add, test and delete connections.",
    "variables": "List, read and change variables.",
}


@click.command(
    "airflow",
    cls=LazyGroup,
    modules="devstack.cli.airflow.",
    helps=COMMANDS,
    epilog="Example: devstack airflow deploy my_flow.py && devstack airflow trigger MyFlow --wait",
)
@click.option(
    "--installation",
    metavar="NAME",
    help="One of [airflow.installations] in devstack.toml, instead of the first.",
)
@click.pass_context
def command(context: click.Context, installation: str | None) -> None:
    """Deploy flows as DAGs; trigger, follow and delete them; change pools and connections.

    A DAG is named by its id, or by the flow's name if no other DAG ends in it.
    """
    context.meta[INSTALLATION] = installation or ""
