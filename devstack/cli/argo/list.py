"""``devstack argo list``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.argo.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("list", epilog="Example: devstack argo list --json")
@stack_options
@pass_output
def command(output: Output, config_file: Path | None, **options: Any) -> int:
    """List deployments."""
    found = open_deployer(config_file, **options).deployments()
    output.data(deployments=found)
    width = max([len(each["name"]) for each in found] + [4])
    span = max([len(each["flow"]) for each in found] + [4])
    output.text(f"{'NAME':<{width}}  {'FLOW':<{span}}  SCHEDULE")
    for each in found:
        state = ", suspended" if each["suspended"] else ""
        zone = f" {each['timezone']}" if each["schedule"] else ""
        schedule = f"{each['schedule'] or '-'}{zone}{state}"
        output.text(f"{each['name']:<{width}}  {each['flow']:<{span}}  {schedule}")
    output.finish()
    return int(ExitStatus.OK)
