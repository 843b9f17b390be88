"""``devstack pools``."""

from __future__ import annotations

import click

from devstack.cli.lazy import LazyGroup

COMMANDS = {
    "import": "Write the pools of another cluster into devstack.toml.",
}


@click.command(
    "pools",
    cls=LazyGroup,
    modules="devstack.cli.pools.",
    helps=COMMANDS,
    epilog="Example: devstack pools import --context prod --at-most 2",
)
def command() -> None:
    """Give the stack the nodes of another cluster; see docs/nodes.md."""
