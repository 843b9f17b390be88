"""``devstack node cordon``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.node.argument import node_argument
from devstack.cli.options import name_flag, pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load


@click.command("cordon", epilog="Example: devstack node cordon devstack-devstack-gpu-0")
@node_argument
@click.option("--undo", is_flag=True, help="Place pods there again.")
@stack_options
@pass_output
def command(
    output: Output, node: str, undo: bool, config_file: Path | None, **options: Any
) -> None:
    """Place no further pods on NODE; those that it runs stay."""
    from devstack.lifecycle.nodes import cordon_node
    from devstack.stack import open_stack

    stack = open_stack(load(config_file, **options))
    changed = cordon_node(stack, node, undo=undo)
    state = "takes pods" if undo else "is cordoned"
    output.data(node=node, cordoned=not undo, changed=changed)
    output.text(f"Node {node} {state}{'' if changed else ' already'}")
    if not undo:
        output.text(f"Next: devstack node restore {node}{name_flag(stack.spec.name)}")
    output.finish()
