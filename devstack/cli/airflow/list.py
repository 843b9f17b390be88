"""``devstack airflow list``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("list", epilog="Example: devstack airflow list --json")
@stack_options
@pass_output
def command(output: Output, config_file: Path | None, **options: Any) -> int:
    """List DAGs, and DAG files that cannot be imported."""
    deployer = open_deployer(config_file, **options)
    dags, failures = deployer.dags(), deployer.import_failures()
    output.data(
        dags=dags,
        import_errors=[{"file": each.file, "traceback": each.traceback} for each in failures],
    )
    width = max([len(dag.dag_id) for dag in dags] + [3])
    span = max([len(dag.schedule or "") for dag in dags] + [8])
    output.text(f"{'DAG':<{width}}  {'STATE':<7} {'SCHEDULE':<{span}} NEXT RUN")
    for dag in dags:
        schedule, next_run = dag.schedule or "-", dag.next_run or "-"
        output.text(f"{dag.dag_id:<{width}}  {dag.state:<7} {schedule:<{span}} {next_run}")
    for failure in failures:
        output.warn(f"{failure.file} cannot be imported: {failure.reason}")
    output.finish()
    return int(ExitStatus.OK)
