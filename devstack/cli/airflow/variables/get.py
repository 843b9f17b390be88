"""``devstack airflow variables get``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.names import unknown_name
from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("get", epilog="Example: devstack airflow variables get region")
@click.argument("key")
@stack_options
@pass_output
def command(output: Output, key: str, config_file: Path | None, **options: Any) -> int:
    """Print the value of the variable KEY."""
    from devstack.airflow.variables import find_variable, list_variables

    client = open_deployer(config_file, **options).client
    found = find_variable(client, key)
    if found is None:
        raise unknown_name("variable", key, [each.key for each in list_variables(client)])
    output.record(found)
    output.text(found.value)
    output.finish()
    return int(ExitStatus.OK)
