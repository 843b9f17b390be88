"""``devstack airflow logs``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import airflow_of
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("logs", epilog="Example: devstack airflow logs airflow-0123456789ab 'work[2]'")
@click.argument("run")
@click.argument("task", default="")
@click.option("--attempt", type=click.IntRange(1), help="Which attempt.  [default: the last]")
@click.option("--full", is_flag=True, help="With what Airflow says around the task's own words.")
@stack_options
@pass_output
def command(
    output: Output,
    run: str,
    task: str,
    attempt: int | None,
    full: bool,
    config_file: Path | None,
    **chosen: Any,
) -> int:
    """Show what the tasks of RUN said, or TASK alone.

    RUN is Airflow's id, Metaflow's, or a DAG, whose newest run is meant. TASK
    is a step, or one item of a foreach: 'work[2]'.
    """
    from devstack.airflow.runs import list_tasks, read_log, task_output_lines
    from devstack.deployers.airflow.find_run import find_run, find_tasks

    airflow = airflow_of(config_file, **chosen)
    found = find_run(airflow.client, run)
    logs = []
    for each in find_tasks(list_tasks(airflow.client, found), task):
        if each.attempts == 0:
            continue
        text = read_log(airflow.client, found, each, attempt or 0)
        lines = text.splitlines() if full else task_output_lines(text) or text.splitlines()
        logs.append({"task": each.name, "state": each.state, "lines": list(lines)})
        output.text(f"== {each.name} ({each.state})")
        output.text("\n".join(lines))
    output.data(**found.as_dict(), logs=logs)
    output.finish()
    return int(ExitStatus.OK)
