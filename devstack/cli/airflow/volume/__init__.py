"""``devstack airflow volume``."""

from __future__ import annotations

import click

from devstack.cli.lazy import LazyGroup

COMMANDS = {"copy": "Copy a folder of DAG files to the volume."}


@click.command(
    "volume",
    cls=LazyGroup,
    modules="devstack.cli.airflow.volume.",
    helps=COMMANDS,
    epilog="Example: devstack airflow volume copy dags/",
)
def command() -> None:
    """Copy DAG files to the volume that Airflow reads with `dags = "volume"`."""
