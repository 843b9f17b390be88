"""``devstack node``."""

from __future__ import annotations

import click

from devstack.cli.lazy import LazyGroup

COMMANDS = {
    "list": "List the nodes, what each offers, and what runs there.",
    "cordon": "Place no further pods on a node.",
    "drain": "Cordon a node, and evict its pods.",
    "interrupt": "Take a spot node away, with the notice that spot instances get.",
    "kill": "Stop a node without warning.",
    "restore": "Start or uncordon a node.",
}


@click.command(
    "node",
    cls=LazyGroup,
    modules="devstack.cli.node.",
    helps=COMMANDS,
    epilog="Example: devstack node drain devstack-devstack-gpu-0",
)
def command() -> None:
    """List the nodes, take them out of use, and back.

    This is how to see what a flow does when a machine goes away.
    """
