"""``devstack argo suspend``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.argo.options import ARGO
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("suspend", epilog="Example: devstack argo suspend MyFlow --resume")
@click.argument("deployment", metavar="NAME", shell_complete=ARGO.complete)
@click.option("--run", "is_run", is_flag=True, help="NAME is a run, or a deployment's latest one.")
@click.option("--resume", is_flag=True, help="Resume instead.")
@stack_options
@pass_output
def command(
    output: Output,
    deployment: str,
    is_run: bool,
    resume: bool,
    config_file: Path | None,
    **options: Any,
) -> int:
    """Suspend the schedule of the deployment NAME, or a run.

    The running pods of a suspended run continue; no further ones start.
    """
    deployer = ARGO.open_deployer(config_file, **options)
    if is_run:
        run = deployer.find_run(deployment)
        deployer.set_suspended(run, not resume)
        name = run.run_id
    else:
        name = deployer.resolve(deployment)
        deployer.set_paused(name, not resume)
    output.data(name=name, suspended=not resume)
    output.text(f"{name} is {'resumed' if resume else 'suspended'}")
    output.finish()
    return int(ExitStatus.OK)
