"""``devstack env``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from devstack.cli.flow_environment import print_overrides
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load


@click.command("env", epilog='Example: eval "$(devstack env)"')
@stack_options
@pass_output
def command(output: Output, config_file: Path | None, **chosen: Any) -> None:
    """Print the variables that point Metaflow, kubectl and S3 clients at the stack."""
    from devstack.environment import build_environment, conflicting_variables
    from devstack.shell_startup import export_command
    from devstack.stack import open_stack, require_up

    stack = open_stack(load(config_file, **chosen))
    require_up(stack)
    print_overrides()
    environment = build_environment(stack)
    unset = conflicting_variables(stack)
    output.data(environment=environment, unset=unset)
    output.text(f"unset {' '.join(unset)}")
    for key, value in sorted(environment.items()):
        output.text(export_command(key, value, os.environ.get(key, "")))
    output.finish()
