"""``devstack shell``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from devstack.cli.exec_command import capture_command, exec_command
from devstack.cli.flow_environment import print_overrides
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load


@click.command(
    "shell",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="Example: devstack shell -- python my_flow.py run --with kubernetes",
)
@stack_options
@click.argument("argv", nargs=-1, type=click.UNPROCESSED)
@pass_output
def command(output: Output, config_file: Path | None, argv: tuple[str, ...], **chosen: Any) -> int:
    """Open a shell, or run a command, with the stack's environment variables."""
    from devstack.environment import build_environment, conflicting_variables
    from devstack.shell_startup import is_plain_shell, start_shell
    from devstack.stack import open_stack, require_up

    stack = open_stack(load(config_file, **chosen))
    require_up(stack)
    print_overrides()
    ours = build_environment(stack)
    unset = conflicting_variables(stack)
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    environment.update(ours)
    program, keeps_variables = list(argv), False
    if not argv or is_plain_shell(argv):
        name = argv[0] if argv else os.environ.get("SHELL") or "/bin/sh"
        shell = start_shell(stack, name, ours)
        program, environment = shell.argv, {**environment, **shell.variables}
        keeps_variables = shell.keeps_variables
        output.text(f"Stack {stack.spec.name!r}: `exit` leaves this shell")
    if not keeps_variables:
        _warn_of_startup_files(program, environment, ours)
    if not output.as_json:
        exec_command(program, environment)
    return capture_command(output, program, environment)


def _warn_of_startup_files(
    argv: list[str], environment: dict[str, str], ours: dict[str, str]
) -> None:
    """Name the variables that the user's startup files of a shell change, if they can."""
    from devstack.shell_startup import changed_by_startup, startup_options

    options = startup_options(argv)
    names = changed_by_startup(options, environment, ours) if options else []
    if names:
        click.echo(
            f"devstack: startup files of {argv[0]} change {', '.join(names)}; "
            'run `eval "$(devstack env)"` in the shell to use the stack',
            err=True,
        )
