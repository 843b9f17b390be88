"""``devstack airflow test``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import complete_dags, open_deployer
from devstack.cli.deployments import parameters_option
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output


@click.command("test", epilog="Example: devstack airflow test MyFlow start --param n=3")
@click.argument("dag", shell_complete=complete_dags)
@click.argument("task")
@click.option("--date", metavar="DATE", help="Logical date.  [default: now]")
@click.option("--run", "run_name", default="", help="Run that the task belongs to.")
@parameters_option()
@stack_options
@pass_output
def command(
    output: Output,
    dag: str,
    task: str,
    date: str | None,
    run_name: str,
    parameters: dict[str, str],
    config_file: Path | None,
    **options: Any,
) -> int:
    """Run TASK of DAG once, in the scheduler's pod, without recording its state.

    Its dependencies are ignored; its log is printed, and the exit status is that of
    the test. TASK is a task, or one item of a mapped one: 'work[2]'. A step of a flow
    that reads results of earlier steps needs --run; its artifacts and metadata
    are then written again.
    """
    from devstack.deployers.airflow.backfill import parse_date
    from devstack.deployers.airflow.task_test import TaskTest, parse_task, run_task_test

    if date and run_name:
        raise click.UsageError("a run has a date: give either --date or --run")
    try:
        logical_date = parse_date(date).isoformat() if date else ""
    except ValueError:
        raise click.BadParameter(f"{date!r} is not a date like 2026-11-01") from None
    deployer = open_deployer(config_file, **options)
    dag_id = deployer.resolve(dag)
    task_id, index = parse_task(task)
    run_id = deployer.find_run(run_name).run_id if run_name else ""
    test = TaskTest(dag_id, task_id, index, logical_date, run_id, parameters)
    lines: list[str] = []

    def show(line: str) -> None:
        lines.append(line)
        output.text(line)

    status = run_task_test(deployer.stack, deployer.client, test, show)
    output.data(dag_id=dag_id, task=task, returncode=status, lines=lines)
    output.finish()
    return status
