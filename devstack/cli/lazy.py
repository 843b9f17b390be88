"""Groups of commands that are imported only when they run."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose commands live one a module and are imported when called.

    Args:
        modules: how the names of the modules begin; the command's name comes behind it.
        helps: the commands in the order of a user's day, with their one-line helps.
        settings: what any group takes.
    """

    def __init__(self, *, modules: str, helps: Mapping[str, str], **settings: Any) -> None:
        super().__init__(**settings)
        self._modules = modules
        self._helps = helps

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of a user's day."""
        return list(self._helps)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module; None for an unknown name."""
        if cmd_name not in self._helps:
            return None
        module = importlib.import_module(f"{self._modules}{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._helps.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name near commands where one is unknown."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as unknown:
            import difflib

            near = difflib.get_close_matches(args[0], self._helps, n=2)
            if near:
                hint = f" Did you mean {' or '.join(near)}?"
                raise click.UsageError(unknown.message + hint, ctx) from unknown
            raise
