"""``devstack node kill``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.node.argument import node_argument
from devstack.cli.options import name_flag, pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load


@click.command("kill", epilog="Example: devstack node kill devstack-devstack-gpu-0")
@node_argument
@stack_options
@pass_output
def command(output: Output, node: str, config_file: Path | None, **options: Any) -> None:
    """Stop NODE without warning, as a machine that loses its power.

    Kubernetes notices after 50 s that it no longer reports, and treats its pods as lost five
    minutes later.
    """
    from devstack.lifecycle.nodes import kill_node
    from devstack.stack import open_stack

    stack = open_stack(load(config_file, **options), output.progress())
    pods = kill_node(stack, node)
    output.data(node=node, pods=pods)
    output.text(f"Node {node} is stopped, with its pods: {', '.join(pods) or 'none'}")
    output.text(f"Next: devstack node restore {node}{name_flag(stack.spec.name)}")
    output.finish()
