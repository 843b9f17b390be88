"""``devstack pvc``."""

from __future__ import annotations

import click

from devstack.cli.lazy import LazyGroup

COMMANDS = {
    "create": "Create a volume claim.",
    "list": "List the volume claims, and the pods that use them.",
    "delete": "Delete volume claims with their data.",
}


@click.command(
    "pvc",
    cls=LazyGroup,
    modules="devstack.cli.pvc.",
    helps=COMMANDS,
    epilog="Example: devstack pvc create my-data 10Gi",
)
def command() -> None:
    """Create, list and delete the volume claims that flows mount.

    A step mounts one by @kubernetes(persistent_volume_claims={"my-data": "/data"}).
    """
