"""``devstack airflow image``."""

from __future__ import annotations

import click

from devstack.cli.lazy import LazyGroup

COMMANDS = {"build": "Build an image with DAG files, and run Airflow from it."}


@click.command(
    "image",
    cls=LazyGroup,
    modules="devstack.cli.airflow.image.",
    helps=COMMANDS,
    epilog="Example: devstack airflow image build dags/",
)
def command() -> None:
    """Build images with DAG files for `dags = "image"`."""
