"""``devstack shell``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import click

from devstack.cli.exec_command import exec_command, unusable
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
    """Open a shell, or run one command, with the stack's variables set."""
    from devstack.environment import build_environment, conflicting_variables
    from devstack.stack import open_stack, require_up

    stack = open_stack(load(config_file, **chosen))
    require_up(stack)
    unset = conflicting_variables(stack)
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    environment.update(build_environment(stack))
    words = list(argv) or [os.environ.get("SHELL", "/bin/sh")]
    if not argv:
        output.text(f"Stack {stack.spec.name!r}: `exit` leaves this shell")
    if not output.as_json:
        exec_command(words, environment)
    return _captured(output, words, environment)


def _captured(output: Output, words: list[str], environment: dict[str, str]) -> int:
    try:
        done = subprocess.run(words, env=environment, check=False, capture_output=True, text=True)
    except OSError as error:
        raise unusable(words[0], error) from error
    output.data(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)
    output.finish()
    return done.returncode
