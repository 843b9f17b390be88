"""``devstack airflow connections test``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.names import unknown_name
from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import DevstackError, ExitStatus


@click.command("test", epilog="Example: devstack airflow connections test shop")
@click.argument("connection")
@stack_options
@pass_output
def command(output: Output, connection: str, config_file: Path | None, **options: Any) -> int:
    """Test CONNECTION by its type's own test, inside the scheduler's pod.

    Connections of the variables AIRFLOW_CONN_* can be tested too.
    """
    from devstack.airflow.connections import list_connections
    from devstack.deployers.airflow.scheduler_pod import SchedulerPod

    deployer = open_deployer(config_file, **options)
    pod = SchedulerPod(deployer.stack)
    found = pod.run_program("connections", {"test": connection}, f"test {connection}")
    if not found["found"]:
        known = {each.connection_id for each in list_connections(deployer.client)}
        raise unknown_name("connection", connection, known)
    output.data(connection_id=connection, **found)
    if not found["ok"]:
        raise DevstackError(
            f"the test of {connection} ({found['type']}) failed",
            cause=found["message"],
            remedy="correct it with devstack airflow connections add --replace",
            code="CONNECTION_FAILED",
        )
    output.text(f"{connection} ({found['type']}): {found['message']}")
    output.finish()
    return int(ExitStatus.OK)
