"""``devstack node interrupt``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.node.argument import node_argument
from devstack.cli.options import name_flag, pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load

_LONGEST = 3600


def _parse_seconds(_context: click.Context, _parameter: click.Parameter, text: str) -> int:
    """Return a number of seconds, which may have the unit: ``20s``."""
    number = text.removesuffix("s")
    if not number.isdecimal() or int(number) > _LONGEST:
        raise click.BadParameter(f"{text!r} is not a number of seconds from 0 to {_LONGEST}")
    return int(number)


@click.command(
    "interrupt", epilog="Example: devstack node interrupt devstack-devstack-spot-0 --after 20s"
)
@node_argument
@click.option(
    "--after",
    callback=_parse_seconds,
    default="120s",
    metavar="SECONDS",
    help="Time from the notice to the end.  [default: 120s, as EC2]",
)
@stack_options
@pass_output
def command(
    output: Output, node: str, after: int, config_file: Path | None, **options: Any
) -> None:
    """Take the spot node NODE away, with the notice that spot instances get.

    Its pods see the notice at once, and the scheduler places no further pods there. When the
    time is over they end, and the node stops. Metaflow looks for the notice every 5 seconds and
    records it in the task's metadata; a step with @retry continues on another node.
    """
    from devstack.lifecycle.interrupt import interrupt_node
    from devstack.stack import open_stack

    stack = open_stack(load(config_file, **options), output.progress())
    done = interrupt_node(stack, node, after)
    output.data(node=done.node, notice=done.notice, pods=done.pods)
    output.text(f"Node {node} is stopped; the notice was for {done.notice}")
    output.text(f"Pods that ended with it: {', '.join(done.pods) or 'none'}")
    output.text(f"Next: devstack node restore {node}{name_flag(stack.spec.name)}")
    output.finish()
