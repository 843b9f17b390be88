"""``devstack airflow runs``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import airflow_of, clock_time, complete_dags, duration
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("runs", epilog="Example: devstack airflow runs MyFlow --limit 5")
@click.argument("dag", required=False, shell_complete=complete_dags)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, help="At most.  [default: 20]")
@stack_options
@pass_output
def command(
    output: Output, dag: str | None, limit: int, config_file: Path | None, **chosen: Any
) -> int:
    """List the newest runs, of DAG alone or of all."""
    from devstack.airflow.runs import list_runs
    from devstack.deployers.airflow.trigger import resolve_dag

    airflow = airflow_of(config_file, **chosen)
    dag_id = resolve_dag(airflow.client, dag) if dag else ""
    runs = list_runs(airflow.client, dag_id, limit)
    output.data(runs=[run.as_dict() for run in runs])
    wide = max([len(run.dag_id) for run in runs] + [3])
    output.text(
        f"{'DAG':<{wide}}  {'STATE':<8} {'BEGAN':<14} {'SECONDS':>7}  {'METAFLOW RUN':<20} RUN"
    )
    for run in runs:
        output.text(
            f"{run.dag_id:<{wide}}  {run.state:<8} {clock_time(run.began):<14}"
            f" {duration(run.seconds):>7}  {run.metaflow_id:<20} {run.run_id}"
        )
    output.finish()
    return int(ExitStatus.OK)
