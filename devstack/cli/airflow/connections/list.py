"""``devstack airflow connections list``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("list", epilog="Example: devstack airflow connections list --json")
@click.option("--secrets", is_flag=True, help="Include passwords and extra fields.")
@stack_options
@pass_output
def command(output: Output, secrets: bool, config_file: Path | None, **options: Any) -> int:
    """List the connections in Airflow's database."""
    from devstack.airflow.connections import list_connections
    from devstack.deployers.airflow.scheduler_pod import SchedulerPod

    deployer = open_deployer(config_file, **options)
    connections = [asdict(each) for each in list_connections(deployer.client)]
    if secrets:
        pod = SchedulerPod(deployer.stack)
        private = pod.run_program("connections", {"test": ""}, "read the connections")
        for each in connections:
            each.update(private.get(each["connection_id"], {}))
    output.data(connections=connections)
    _show(output, connections)
    output.finish()
    return int(ExitStatus.OK)


def _show(output: Output, connections: list[dict[str, Any]]) -> None:
    width = max([len(each["connection_id"]) for each in connections] + [10])
    span = max([len(each["type"]) for each in connections] + [4])
    output.text(f"{'CONNECTION':<{width}}  {'TYPE':<{span}}  ADDRESS")
    for each in connections:
        login = f"{each['login']}@" if each["login"] else ""
        port = f":{each['port']}" if each["port"] else ""
        schema = f"/{each['schema']}" if each["schema"] else ""
        address = f"{login}{each['host']}{port}{schema}"
        line = f"{each['connection_id']:<{width}}  {each['type']:<{span}}  {address}"
        output.text(line.rstrip())
        for name in ("password", "extra"):
            if each.get(name):
                output.text(f"  {name}: {each[name]}")
