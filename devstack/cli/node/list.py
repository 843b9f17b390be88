"""``devstack node list``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.node_table import node_lines
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load


@click.command("list", epilog="Example: devstack node list --json")
@stack_options
@pass_output
def command(output: Output, config_file: Path | None, **options: Any) -> None:
    """List the nodes, what each offers, and what runs there."""
    from devstack.kube.node_status import read_layout
    from devstack.stack import open_stack, require_up

    stack = open_stack(load(config_file, **options))
    require_up(stack)
    layout = read_layout(stack.kube())
    output.data(nodes=layout.nodes)
    for line in node_lines(layout.nodes):
        output.text(line)
    output.finish()
