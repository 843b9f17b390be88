"""``devstack kubeflow suspend``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.kubeflow.options import KUBEFLOW
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("suspend", epilog="Example: devstack kubeflow suspend MyFlow --resume")
@click.argument("deployment", metavar="NAME", shell_complete=KUBEFLOW.complete)
@click.option("--resume", is_flag=True, help="Resume instead.")
@stack_options
@pass_output
def command(
    output: Output, deployment: str, resume: bool, config_file: Path | None, **options: Any
) -> int:
    """Suspend the schedule of the deployment NAME; active runs continue."""
    deployer = KUBEFLOW.open_deployer(config_file, **options)
    name = deployer.resolve(deployment)
    deployer.set_paused(name, not resume)
    output.data(name=name, suspended=not resume)
    output.text(f"{name} is {'resumed' if resume else 'suspended'}")
    output.finish()
    return int(ExitStatus.OK)
