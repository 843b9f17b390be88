"""``devstack argo logs``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.argo.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus
from devstack.schema import WorkflowRun, dump


@click.command("logs", epilog="Example: devstack argo logs argo-myflow-x2k9q 'work[2]'")
@click.argument("run")
@click.argument("task", default="")
@click.option(
    "--attempt", type=click.IntRange(1), help="Number of the attempt.  [default: the last]"
)
@stack_options
@pass_output
def command(
    output: Output,
    run: str,
    task: str,
    attempt: int | None,
    config_file: Path | None,
    **options: Any,
) -> int:
    """Show the logs of all tasks of RUN, or of TASK.

    RUN is the workflow's name, Metaflow's run id, or a deployment for its latest run. TASK is a
    step, or one item of a foreach: 'work[2]'.
    """
    deployer = open_deployer(config_file, **options)
    found = deployer.find_run(run)
    logs = []
    for log in deployer.logs(found, task, attempt or 0):
        logs.append({"task": log.task.name, "state": log.task.state, "lines": list(log.lines)})
        output.text(f"== {log.task.name} ({log.task.state})")
        output.text("\n".join(log.lines))
    output.record(dump(WorkflowRun, found))
    output.data(logs=logs)
    output.finish()
    return int(ExitStatus.OK)
