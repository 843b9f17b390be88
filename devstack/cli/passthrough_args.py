"""Commands that pass arguments on to a flow."""

from __future__ import annotations

import click

PASSTHROUGH_ARGS = "devstack.flow-arguments"


class FlowCommand(click.Command):
    """A command that passes on the arguments after ``--``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Separate the arguments after ``--`` from those of the command."""
        own = args
        if "--" in args:
            dashes = args.index("--")
            own = args[:dashes]
            ctx.meta[PASSTHROUGH_ARGS] = args[dashes + 1 :]
        return super().parse_args(ctx, own)
