"""``devstack kubeflow``."""

from __future__ import annotations

import click

from devstack.cli.lazy import LazyGroup

COMMANDS = {
    "deploy": "Deploy a flow as a pipeline.",
    "trigger": "Start a run of a deployment.",
    "runs": "List runs.",
    "logs": "Show the logs of a run's tasks.",
    "list": "List deployments.",
    "suspend": "Suspend a schedule, or resume it.",
    "delete": "Delete deployments with their schedules and runs.",
    "open": "Open Argo's page, which shows the runs.",
}


@click.command(
    "kubeflow",
    cls=LazyGroup,
    modules="devstack.cli.kubeflow.",
    helps=COMMANDS,
    epilog="Example: devstack kubeflow deploy my_flow.py"
    " && devstack kubeflow trigger MyFlow --wait",
)
def command() -> None:
    """Deploy flows to Kubeflow Pipelines; trigger, follow and delete them.

    A deployment is named by its name in Kubeflow, or by the flow's name if it is the only one of
    that flow. The stack needs the pipelines API: devstack up --with kubeflow. The flow's Python
    needs metaflow-kubeflow.
    """
