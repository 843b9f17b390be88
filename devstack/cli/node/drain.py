"""``devstack node drain``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.node.argument import node_argument
from devstack.cli.options import name_flag, pass_output, stack_options, timeout_option
from devstack.cli.output import Output
from devstack.config import load


@click.command("drain", epilog="Example: devstack node drain devstack-devstack-gpu-0 --timeout 60")
@node_argument
@timeout_option
@stack_options
@pass_output
def command(output: Output, node: str, config_file: Path | None, **options: Any) -> None:
    """Cordon NODE, evict its pods, and wait until they have ended.

    A pod gets as much time to end as it asks for. A task that is evicted fails; with @retry it
    starts again on another node. Pods of DaemonSets stay.
    """
    from devstack.lifecycle.nodes import drain_node
    from devstack.stack import open_stack

    stack = open_stack(load(config_file, **options), output.progress())
    evicted = drain_node(stack, node, stack.spec.timeout)
    output.data(node=node, evicted=evicted, pods=evicted)
    output.text(f"Node {node} is drained: {', '.join(evicted) or 'no pod was on it'}")
    output.text(f"Next: devstack node restore {node}{name_flag(stack.spec.name)}")
    output.finish()
