"""``devstack ENGINE list``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.cli.workflows.engine import WorkflowEngine
from devstack.errors import ExitStatus


def build(engine: WorkflowEngine) -> click.Command:
    """Return the command for an engine."""

    @click.command(
        "list",
        help="List deployments.",
        epilog=f"Example: devstack {engine.name} list --json",
    )
    @stack_options
    @pass_output
    def command(output: Output, config_file: Path | None, **options: Any) -> int:
        found = engine.open_deployer(config_file, **options).deployments()
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

    return command
