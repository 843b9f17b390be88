"""``devstack airflow pools set``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("set", epilog="Example: devstack airflow pools set few 2 --description 'one API'")
@click.argument("pool")
@click.argument("slots", type=click.IntRange(-1))
@click.option("--description", help="What it is for.")
@click.option(
    "--include-deferred/--no-include-deferred",
    default=None,
    help="Whether deferred tasks occupy slots.",
)
@stack_options
@pass_output
def command(
    output: Output,
    pool: str,
    slots: int,
    description: str | None,
    include_deferred: bool | None,
    config_file: Path | None,
    **options: Any,
) -> int:
    """Create POOL with SLOTS slots, or change it; -1 (after --) is any number."""
    from devstack.airflow.pools import set_pool

    client = open_deployer(config_file, **options).client
    saved, created = set_pool(client, pool, slots, description, include_deferred)
    output.data(pool=saved, created=created)
    output.text(f"{pool} {'is created with' if created else 'has now'} {slots} slots")
    output.finish()
    return int(ExitStatus.OK)
