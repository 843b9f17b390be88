"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource

from devstack.cli.output import Output

Command = TypeVar("Command", bound=Callable[..., Any])


def pass_output(command: Command) -> Command:
    """Pass the :class:`Output` of this run as the first argument."""
    decorated: Any = click.make_pass_decorator(Output)(cast("Any", command))
    return cast("Command", decorated)


def _set_json(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    output = context.ensure_object(Output)
    output.as_json = output.as_json or value
    # Without the program's own name: "images list".
    output.command = context.command_path.partition(" ")[2]


def _complete_names(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    from devstack.state import stack_names

    return [name for name in stack_names() if name.startswith(incomplete)]


json_option = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_set_json,
    help="Print one JSON envelope instead of text.",
)


def _set_stack(
    context: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    from devstack.config import StackSpec

    # A name of the environment counts for the commands that the user types next, too.
    typed = context.get_parameter_source("name") is ParameterSource.COMMANDLINE
    named = value if typed and value != StackSpec.name else None
    context.ensure_object(Output).stack = named or ""
    return value


name_option = click.option(
    "--name",
    metavar="NAME",
    callback=_set_stack,
    envvar="DEVSTACK_NAME",
    shell_complete=_complete_names,
    help="The stack's name.  [default: devstack]",
)


def name_flag(name: str) -> str:
    """Return the option that selects the stack ``name``; empty for the default."""
    from devstack.config import StackSpec

    return "" if name == StackSpec.name else f" --name {name}"


config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="Settings file.  [default: devstack.toml in this folder]",
)

timeout_option = click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    help="Timeout of each wait.  [default: 300]",
)

verbose_option = click.option(
    "--verbose",
    "-v",
    is_flag=True,
    expose_value=False,
    callback=lambda context, _parameter, value: setattr(
        context.ensure_object(Output), "verbose", value
    ),
    help="Show every line of the programs that run.",
)


class SuggestingChoice(click.Choice[str]):
    """A choice whose error names the closest match."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Return click's message, and "did you mean ...?"."""
        from devstack.validation import closest_match

        message = super().get_invalid_choice_message(value, ctx)
        closest = closest_match(str(value), self.choices)
        return f"{message} Did you mean {closest!r}?" if closest else message


def stack_options(command: Command) -> Command:
    """Add ``--name``, ``--json`` and ``--config``."""
    for option in (config_option, json_option, name_option):
        command = option(command)
    return command


def none_if_empty(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Turn an empty option into None, so that it overrides nothing."""
    return values or None


def parse_pools(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> list[dict[str, Any]] | None:
    """Parse ``--pool KEY=VALUE,...`` options."""
    from devstack.pools.settings import parse_pool

    return [parse_pool(value) for value in values] or None


def parse_ports(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, int] | None:
    """Parse ``--port NAME=PORT`` options."""
    ports = {}
    for value in values:
        name, _, port = value.partition("=")
        if not port.isdecimal():
            raise click.BadParameter(f"{value!r} is not NAME=PORT")
        ports[name] = int(port)
    return ports or None
