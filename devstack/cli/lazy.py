"""A group whose commands are imported only when they run."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group with one module for each command, which is imported when it is called.

    Args:
        modules: the prefix of the modules' names; the command's name follows.
        helps: the commands with their one-line helps, in the order of the help.
        settings: the arguments of any group.
    """

    def __init__(self, *, modules: str, helps: Mapping[str, str], **settings: Any) -> None:
        super().__init__(**settings)
        self._modules = modules
        self._helps = helps

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the help."""
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
