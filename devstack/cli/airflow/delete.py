"""``devstack airflow delete``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import airflow_of, complete_dags
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("delete", epilog="Example: devstack airflow delete MyFlow")
@click.argument("dags", nargs=-1, required=True, metavar="DAG...", shell_complete=complete_dags)
@click.option("--force", is_flag=True, help="Even where runs are under way; they are ended first.")
@stack_options
@pass_output
def command(
    output: Output, dags: tuple[str, ...], force: bool, config_file: Path | None, **chosen: Any
) -> int:
    """Remove each DAG: its file, its runs and its history.

    What its runs left in the datastore, and Metaflow's records of them, stay.
    """
    from devstack.deployers.airflow.delete import delete_dag
    from devstack.deployers.airflow.trigger import resolve_dag

    airflow = airflow_of(config_file, **chosen)
    found = [resolve_dag(airflow.client, dag) for dag in dags]
    for dag_id in found:
        delete_dag(airflow, dag_id, force=force)
        output.text(f"{dag_id} is gone")
    output.data(deleted=found)
    output.finish()
    return int(ExitStatus.OK)
