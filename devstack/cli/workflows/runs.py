"""``devstack ENGINE runs``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.deployments import show_runs
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.cli.workflows.engine import WorkflowEngine
from devstack.errors import ExitStatus
from devstack.schema import WorkflowRun, dump


def build(engine: WorkflowEngine) -> click.Command:
    """Return the command for an engine."""

    @click.command(
        "runs",
        help="List the latest runs of the deployment NAME, or of all.",
        epilog=f"Example: devstack {engine.name} runs MyFlow --limit 5",
    )
    @click.argument("deployment", metavar="[NAME]", required=False, shell_complete=engine.complete)
    @click.option(
        "--limit", type=click.IntRange(1, 1000), default=20, help="Number of runs.  [default: 20]"
    )
    @stack_options
    @pass_output
    def command(
        output: Output, deployment: str | None, limit: int, config_file: Path | None, **options: Any
    ) -> int:
        deployer = engine.open_deployer(config_file, **options)
        runs = deployer.runs(deployer.resolve(deployment) if deployment else "", limit)
        output.data(runs=dump(list[WorkflowRun], runs))
        show_runs(output, "NAME", runs)
        output.finish()
        return int(ExitStatus.OK)

    return command
