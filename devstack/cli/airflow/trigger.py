"""``devstack airflow trigger``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import airflow_of, complete_dags, parse_parameters
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("trigger", epilog="Example: devstack airflow trigger MyFlow --param n=3 --wait")
@click.argument("dag", shell_complete=complete_dags)
@click.option(
    "--param",
    "-p",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    callback=parse_parameters,
    help="A parameter of the flow; may be repeated.",
)
@click.option("--wait", is_flag=True, help="Wait for the run's end; status 5 where it fails.")
@click.option("--unpause", is_flag=True, help="Unpause the DAG first.")
@click.option("--timeout", type=float, metavar="SECONDS", help="Wait no longer than this.")
@stack_options
@pass_output
def command(
    output: Output,
    dag: str,
    parameters: dict[str, str],
    wait: bool,
    unpause: bool,
    timeout: float | None,
    config_file: Path | None,
    **chosen: Any,
) -> int:
    """Start a run of DAG."""
    from devstack.airflow.dags import set_paused
    from devstack.deployers.airflow.follow import failure_of, follow
    from devstack.deployers.airflow.trigger import resolve_dag, trigger

    airflow = airflow_of(config_file, **chosen)
    dag_id = resolve_dag(airflow.client, dag)
    if unpause:
        set_paused(airflow.client, dag_id, False)
    run = trigger(airflow.client, dag_id, parameters)
    output.data(**run.as_dict())
    output.text(f"{dag_id}: {run.run_id}, in Metaflow {run.metaflow_id}")
    if wait:
        result = follow(airflow, run, output.progress().note, timeout)
        output.close_progress()
        output.data(**result.as_dict())
        if not result.ok:
            raise failure_of(airflow, result)
        output.text(f"succeeded in {result.run.seconds or 0.0:.1f} s")
    output.finish()
    return int(ExitStatus.OK)
