"""``devstack airflow delete``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import complete_dags, open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("delete", epilog="Example: devstack airflow delete MyFlow")
@click.argument("dags", nargs=-1, required=True, metavar="DAG...", shell_complete=complete_dags)
@click.option("--force", is_flag=True, help="Stop active runs first.")
@stack_options
@pass_output
def command(
    output: Output, dags: tuple[str, ...], force: bool, config_file: Path | None, **options: Any
) -> int:
    """Delete each DAG: its file, its runs and its history.

    A DAG whose file Airflow cannot import is deleted too, and so is the production
    token. Artifacts in the datastore and Metaflow's metadata are kept.
    """
    deployer = open_deployer(config_file, **options)
    dag_ids = [deployer.resolve(dag, broken=True) for dag in dags]
    for dag_id in dag_ids:
        deployer.delete(dag_id, force=force)
        output.text(f"{dag_id} is deleted")
    output.data(deleted=dag_ids)
    output.finish()
    return int(ExitStatus.OK)
