"""``devstack airflow list``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import airflow_of
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("list", epilog="Example: devstack airflow list --json")
@stack_options
@pass_output
def command(output: Output, config_file: Path | None, **chosen: Any) -> int:
    """List the DAGs, and the files that cannot be imported."""
    from devstack.airflow.dags import list_dags, list_import_failures
    from devstack.deployers.airflow.deploy import last_line

    airflow = airflow_of(config_file, **chosen)
    dags = list_dags(airflow.client)
    failures = list_import_failures(airflow.client)
    output.data(
        dags=[dag.as_dict() for dag in dags],
        import_errors=[{"file": each.file, "traceback": each.traceback} for each in failures],
    )
    wide = max([len(dag.dag_id) for dag in dags] + [3])
    output.text(f"{'DAG':<{wide}}  {'STATE':<7} {'SCHEDULE':<14} NEXT RUN")
    for dag in dags:
        state = "broken" if dag.broken else "paused" if dag.paused else "active"
        output.text(
            f"{dag.dag_id:<{wide}}  {state:<7} {dag.schedule or '-':<14} {dag.next_run or '-'}"
        )
    for failure in failures:
        output.warn(f"{failure.file} cannot be imported: {last_line(failure.traceback)}")
    output.finish()
    return int(ExitStatus.OK)
