"""``devstack airflow variables list``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus

MASK = "***"


@click.command("list", epilog="Example: devstack airflow variables list --json")
@click.option("--secrets", is_flag=True, help="Include values that Airflow masks by their key.")
@stack_options
@pass_output
def command(output: Output, secrets: bool, config_file: Path | None, **options: Any) -> int:
    """List the variables; values whose key names a secret are masked, as in the UI."""
    from devstack.airflow.variables import list_variables

    client = open_deployer(config_file, **options).client
    variables = [
        replace(each, value=MASK) if each.is_sensitive and not secrets else each
        for each in list_variables(client)
    ]
    output.data(variables=variables)
    width = max([len(each.key) for each in variables] + [8])
    output.text(f"{'VARIABLE':<{width}}  VALUE")
    for each in variables:
        output.text(f"{each.key:<{width}}  {each.value}")
    output.finish()
    return int(ExitStatus.OK)
