"""``devstack ENGINE logs``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.cli.workflows.engine import WorkflowEngine
from devstack.errors import ExitStatus
from devstack.schema import WorkflowRun, dump

_HELP = """Show the logs of all tasks of RUN, or of TASK.

RUN is {run_name}, Metaflow's run id, or a deployment for its latest run. TASK is a
step, or one item of a foreach: 'work[2]'.
"""


def build(engine: WorkflowEngine) -> click.Command:
    """Return the command for an engine."""

    @click.command(
        "logs",
        help=_HELP.format(run_name=engine.run_name),
        epilog=f"Example: devstack {engine.name} logs {engine.example_run} 'work[2]'",
    )
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
        deployer = engine.open_deployer(config_file, **options)
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

    return command
