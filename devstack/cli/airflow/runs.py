"""``devstack airflow runs``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import complete_dags, open_deployer
from devstack.cli.deployments import show_runs
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus
from devstack.schema import DagRun, dump


@click.command("runs", epilog="Example: devstack airflow runs MyFlow --limit 5")
@click.argument("dag", required=False, shell_complete=complete_dags)
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, help="Number of runs.  [default: 20]"
)
@click.option("--run", metavar="RUN", help="Only this run: Airflow's id or Metaflow's.")
@stack_options
@pass_output
def command(
    output: Output,
    dag: str | None,
    limit: int,
    run: str | None,
    config_file: Path | None,
    **options: Any,
) -> int:
    """List the latest runs of DAG, or of all DAGs."""
    deployer = open_deployer(config_file, **options)
    dag_id = deployer.resolve(dag) if dag else ""
    runs = [deployer.find_run(run, dag_id)] if run else deployer.runs(dag_id, limit)
    output.data(runs=dump(list[DagRun], runs))
    show_runs(output, "DAG", runs)
    output.finish()
    return int(ExitStatus.OK)
