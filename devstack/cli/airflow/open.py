"""``devstack airflow open``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import airflow_of, complete_dags
from devstack.cli.options import name_flag, pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("open", epilog="Example: devstack airflow open MyFlow")
@click.argument("dag", required=False, shell_complete=complete_dags)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@stack_options
@pass_output
def command(
    output: Output, dag: str | None, no_browser: bool, config_file: Path | None, **chosen: Any
) -> int:
    """Open Airflow's web page, or that of DAG, and print its address."""
    from devstack.airflow.client import ADMIN, quoted
    from devstack.deployers.airflow.trigger import resolve_dag

    airflow = airflow_of(config_file, **chosen)
    page = f"/dags/{quoted(resolve_dag(airflow.client, dag))}/grid" if dag else "/home"
    url = airflow.client.url + page
    output.data(url=url, user=ADMIN)
    output.text(url)
    name = name_flag(chosen.get("name") or "devstack")
    output.text(f"Log in as {ADMIN}; the password: devstack status --secrets{name}")
    if not no_browser and not output.as_json:
        click.launch(url)
    output.finish()
    return int(ExitStatus.OK)
