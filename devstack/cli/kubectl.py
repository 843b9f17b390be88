"""``devstack kubectl``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.exec_command import exec_command
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load


@click.command(
    "kubectl",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="Example: devstack kubectl --admin get pods -A",
)
@click.option(
    "--admin", is_flag=True, help="Use the administrator's kubeconfig, not that of flows."
)
@stack_options
@click.argument("argv", nargs=-1, type=click.UNPROCESSED)
@pass_output
def command(
    output: Output, config_file: Path | None, admin: bool, argv: tuple[str, ...], **chosen: Any
) -> int:
    """Run kubectl with the stack's kubeconfig; exit with its status."""
    from devstack.stack import open_stack, require_up

    stack = open_stack(load(config_file, **chosen), output.progress())
    require_up(stack)
    kubectl = stack.kubectl()
    kubeconfig = stack.dir.admin_kubeconfig if admin else stack.dir.kubeconfig
    command_line = [
        str(kubectl),
        f"--kubeconfig={kubeconfig}",
        f"--cache-dir={stack.dir.kubectl_cache}",
    ]
    command_line += argv
    if not output.as_json:
        exec_command(command_line)
    done = stack.runner.run(command_line, check=False)
    output.data(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)
    output.finish()
    return done.returncode
