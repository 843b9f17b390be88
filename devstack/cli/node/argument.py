"""The argument NODE, which several commands share."""

from __future__ import annotations

import click

from devstack.config import load


def _complete_nodes(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    from devstack.errors import DevstackError
    from devstack.stack import open_stack

    try:
        stack = open_stack(load(name=context.params.get("name")))
        nodes = stack.kube().list_objects("v1", "Node")
    except DevstackError:
        return []
    names = sorted(node["metadata"]["name"] for node in nodes)
    return [name for name in names if name.startswith(incomplete)]


node_argument = click.argument("node", metavar="NODE", shell_complete=_complete_nodes)
