"""``devstack ENGINE trigger``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.deployments import (
    parameters_option,
    require_wait,
    wait_and_show,
    wait_timeout_option,
)
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.cli.workflows.engine import WorkflowEngine
from devstack.errors import ExitStatus
from devstack.schema import EndedWorkflow, WorkflowRun, dump


def build(engine: WorkflowEngine) -> click.Command:
    """Return the command for an engine."""

    @click.command(
        "trigger",
        help="Start a run of the deployment NAME.",
        epilog=f"Example: devstack {engine.name} trigger MyFlow --param n=3 --wait",
    )
    @click.argument("deployment", metavar="NAME", shell_complete=engine.complete)
    @parameters_option()
    @click.option("--wait", is_flag=True, help="Wait until the run ends; status 5 if it fails.")
    @wait_timeout_option
    @stack_options
    @pass_output
    def command(
        output: Output,
        deployment: str,
        parameters: dict[str, str],
        wait: bool,
        timeout: float | None,
        config_file: Path | None,
        **options: Any,
    ) -> int:
        require_wait(wait, timeout)
        deployer = engine.open_deployer(config_file, **options)
        run = deployer.trigger(deployment, parameters)
        output.record(dump(WorkflowRun, run))
        output.text(f"{run.name}: {run.run_id}, in Metaflow {run.metaflow_id}")
        if wait:
            wait_and_show(output, deployer, run, EndedWorkflow, timeout)
        output.finish()
        return int(ExitStatus.OK)

    return command
