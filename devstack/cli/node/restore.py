"""``devstack node restore``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.node.argument import node_argument
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load


@click.command("restore", epilog="Example: devstack node restore devstack-devstack-gpu-0")
@node_argument
@stack_options
@pass_output
def command(output: Output, node: str, config_file: Path | None, **options: Any) -> None:
    """Start NODE if it is stopped, and let pods be placed on it; return once it is Ready."""
    from devstack.lifecycle.nodes import restore_node
    from devstack.stack import open_stack

    stack = open_stack(load(config_file, **options), output.progress())
    restore_node(stack, node)
    output.data(node=node)
    output.text(f"Node {node} is Ready")
    output.finish()
