"""``devstack airflow pools list``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("list", epilog="Example: devstack airflow pools list --json")
@stack_options
@pass_output
def command(output: Output, config_file: Path | None, **options: Any) -> int:
    """List the pools, and the slots that tasks occupy or wait for."""
    from devstack.airflow.pools import list_pools

    pools = list_pools(open_deployer(config_file, **options).client)
    output.data(pools=pools)
    width = max([len(pool.name) for pool in pools] + [4])
    output.text(f"{'POOL':<{width}}  SLOTS  RUNNING  QUEUED  WAITING  DESCRIPTION")
    for pool in pools:
        slots = "any" if pool.slots < 0 else str(pool.slots)
        line = (
            f"{pool.name:<{width}}  {slots:>5}  {pool.running:>7}  {pool.queued:>6}"
            f"  {pool.scheduled:>7}  {pool.description}"
        )
        output.text(line.rstrip())
    output.finish()
    return int(ExitStatus.OK)
