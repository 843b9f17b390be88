"""``devstack argo delete``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.argo.options import complete_deployments, open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("delete", epilog="Example: devstack argo delete MyFlow")
@click.argument(
    "names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_deployments
)
@click.option("--force", is_flag=True, help="Delete active runs too.")
@stack_options
@pass_output
def command(
    output: Output, names: tuple[str, ...], force: bool, config_file: Path | None, **options: Any
) -> int:
    """Delete each deployment: its template, its schedule, its sensor and its runs.

    Artifacts in the datastore and Metaflow's metadata are kept.
    """
    deployer = open_deployer(config_file, **options)
    deployments = [deployer.resolve(name) for name in names]
    for name in deployments:
        deployer.delete(name, force=force)
        output.text(f"{name} is deleted")
    output.data(deleted=deployments)
    output.finish()
    return int(ExitStatus.OK)
