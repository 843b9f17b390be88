"""``devstack airflow open``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import complete_dags, open_deployer
from devstack.cli.options import name_flag, pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("open", epilog="Example: devstack airflow open MyFlow")
@click.argument("dag", required=False, shell_complete=complete_dags)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@stack_options
@pass_output
def command(
    output: Output, dag: str | None, no_browser: bool, config_file: Path | None, **options: Any
) -> int:
    """Open Airflow's UI, or the page of DAG, and print its address.

    `devstack airflow open flower` opens Flower, which shows Celery's workers.
    """
    from devstack.airflow.client import ADMIN

    deployer = open_deployer(config_file, **options)
    if dag == "flower":
        url = deployer.flower_url()
    else:
        url = deployer.url(deployer.resolve(dag) if dag else "")
    output.data(url=url, user=ADMIN)
    output.text(url)
    name = name_flag(options.get("name") or "devstack")
    output.text(f"User: {ADMIN}; password: devstack status --secrets{name}")
    if not no_browser and not output.as_json:
        click.launch(url)
    output.finish()
    return int(ExitStatus.OK)
