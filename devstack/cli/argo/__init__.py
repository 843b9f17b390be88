"""``devstack argo``."""

from __future__ import annotations

import click

from devstack.cli.lazy import LazyGroup

COMMANDS = {
    "deploy": "Deploy a flow as a template of Argo.",
    "trigger": "Start a run of a deployment.",
    "runs": "List runs.",
    "logs": "Show the logs of a run's tasks.",
    "list": "List deployments.",
    "suspend": "Suspend a schedule or a run, or resume it.",
    "delete": "Delete deployments with their schedules, sensors and runs.",
    "open": "Open Argo's page.",
}


@click.command(
    "argo",
    cls=LazyGroup,
    modules="devstack.cli.argo.",
    helps=COMMANDS,
    epilog="Example: devstack argo deploy my_flow.py && devstack argo trigger MyFlow --wait",
)
def command() -> None:
    """Deploy flows to Argo Workflows; trigger, follow and delete them.

    A deployment is named by its name in Argo, or by the flow's name if it is the only one of that
    flow. The stack needs Argo: devstack up --with argo.
    """
