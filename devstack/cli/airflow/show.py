"""``devstack airflow show``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devstack.cli.airflow.options import complete_dags, open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus

if TYPE_CHECKING:
    from devstack.deployers.airflow.deployed_flow import DeployedFlow


@click.command("show", epilog="Example: devstack airflow show MyFlow")
@click.argument("dags", nargs=-1, metavar="[DAG...]", shell_complete=complete_dags)
@stack_options
@pass_output
def command(output: Output, dags: tuple[str, ...], config_file: Path | None, **options: Any) -> int:
    """Show the flow of each DAG, or of all DAGs that Metaflow compiled.

    Shows its owner, schedule, Parameters and production token.
    """
    deployer = open_deployer(config_file, **options)
    if dags:
        flows = [deployer.deployed_flow(deployer.resolve(dag)) for dag in dags]
    else:
        flows = deployer.deployed_flows()
    output.data(flows=flows)
    for flow in flows:
        _show(output, flow)
    output.finish()
    return int(ExitStatus.OK)


def _show(output: Output, flow: DeployedFlow) -> None:
    output.text(f"{flow.dag_id}{' (paused)' if flow.paused else ''}")
    project = f" of {flow.project}, branch {flow.branch}" if flow.project else ""
    output.text(f"  flow       {flow.flow}{project}, deployed by {flow.owner}")
    output.text(f"  schedule   {flow.schedule or '-'}")
    output.text(f"  token      {flow.production_token or '-'}")
    for parameter in flow.parameters:
        output.text(f"  parameter  {parameter.name} ({parameter.kind}) = {parameter.default!r}")
    output.text(f"  {flow.url}")
