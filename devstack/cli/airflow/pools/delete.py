"""``devstack airflow pools delete``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.names import unknown_name
from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import DevstackError, ExitStatus


@click.command("delete", epilog="Example: devstack airflow pools delete few")
@click.argument("pools", nargs=-1, required=True, metavar="POOL...")
@stack_options
@pass_output
def command(
    output: Output, pools: tuple[str, ...], config_file: Path | None, **options: Any
) -> int:
    """Delete each POOL; tasks that name it then no longer start."""
    from devstack.airflow.pools import DEFAULT_POOL, delete_pool, list_pools

    client = open_deployer(config_file, **options).client
    known = {pool.name for pool in list_pools(client)}
    for name in pools:
        if name not in known:
            raise unknown_name("pool", name, known)
        if name == DEFAULT_POOL:
            raise DevstackError(
                f"cannot delete {DEFAULT_POOL}",
                cause="Airflow needs it for tasks that name no pool",
                remedy=f"devstack airflow pools set {DEFAULT_POOL} SLOTS",
                code="POOL_NEEDED",
                exit_status=ExitStatus.USAGE,
            )
    for name in pools:
        delete_pool(client, name)
        output.text(f"{name} is deleted")
    output.data(deleted=list(pools))
    output.finish()
    return int(ExitStatus.OK)
