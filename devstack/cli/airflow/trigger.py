"""``devstack airflow trigger``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import complete_dags, open_deployer
from devstack.cli.deployments import (
    parameters_option,
    require_wait,
    wait_and_show,
    wait_timeout_option,
)
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus
from devstack.schema import DagRun, EndedDagRun, dump


@click.command("trigger", epilog="Example: devstack airflow trigger MyFlow --param n=3 --wait")
@click.argument("dag", shell_complete=complete_dags)
@parameters_option()
@click.option("--wait", is_flag=True, help="Wait until the run ends; status 5 if it fails.")
@click.option("--unpause", is_flag=True, help="Unpause the DAG first.")
@wait_timeout_option
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
    **options: Any,
) -> int:
    """Trigger a run of DAG."""
    require_wait(wait, timeout)
    deployer = open_deployer(config_file, **options)
    dag_id = deployer.resolve(dag)
    if unpause:
        deployer.set_paused(dag_id, False)
    run = deployer.trigger(dag_id, parameters)
    output.record(dump(DagRun, run))
    output.text(f"{dag_id}: {run.run_id}, in Metaflow {run.metaflow_id}")
    if wait:
        wait_and_show(output, deployer, run, EndedDagRun, timeout)
    output.finish()
    return int(ExitStatus.OK)
