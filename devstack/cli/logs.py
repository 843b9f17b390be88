"""``devstack logs``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.exec_command import exec_command
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load
from devstack.errors import DevstackError, ExitStatus


def _complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from devstack.services import SERVICES

    return [each.name for each in SERVICES if each.name.startswith(incomplete)]


@click.command("logs", epilog="Example: devstack logs minio --follow")
@click.argument("target", required=False, shell_complete=_complete)
@click.option("--follow", "-f", is_flag=True, help="Print new lines as they are written.")
@click.option(
    "--tail", type=int, default=50, show_default=True, help="Number of lines from the end."
)
@click.option(
    "--previous", is_flag=True, help="Print the log of the container before its last restart."
)
@click.option(
    "--cluster",
    "folder",
    type=click.Path(path_type=Path),
    help="Write the logs of nodes and control plane to this folder instead.",
)
@stack_options
@pass_output
def command(
    output: Output,
    config_file: Path | None,
    target: str | None,
    follow: bool,
    tail: int,
    previous: bool,
    folder: Path | None,
    **chosen: Any,
) -> int:
    """Show the logs of a service, of a pod, or of every service.

    TARGET is a service (minio, jobset), a task pod's name, or NAMESPACE/POD.
    """
    from devstack.lifecycle.logs import log_arguments, log_targets, read_logs
    from devstack.stack import open_stack, require_up

    stack = open_stack(load(config_file, **chosen), output.progress())
    if folder is not None:
        return _collect(output, stack, folder)
    require_up(stack)
    targets = log_targets(stack, target)
    if follow and not output.as_json:
        if len(targets) > 1:
            output.warn(f"{len(targets)} pods match; following {targets[0].label}")
        exec_command([*log_arguments(stack, targets[0], tail, previous), "--follow"])
    shown = [read_logs(stack, each, tail, previous) for each in targets]
    output.data(logs=shown)
    for each in shown:
        if len(shown) > 1:
            output.text(f"==> {each.pod} <==")
        output.text(each.text.rstrip("\n"))
        if each.error:
            output.warn(f"{each.pod}: {each.error}")
    output.finish()
    return int(ExitStatus.FAILED if any(each.error for each in shown) else ExitStatus.OK)


def _collect(output: Output, stack: Any, folder: Path) -> int:
    # Also of a stack that is not up: the logs may show why.
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DevstackError(
            f"cannot write to {folder}",
            cause=str(error.strerror),
            remedy="name another folder",
            code="FOLDER_UNWRITABLE",
            exit_status=ExitStatus.USAGE,
        ) from error
    stack.provider.collect_logs(stack.cluster, folder)
    output.data(folder=str(folder))
    output.text(f"The cluster's logs are in {folder}")
    output.finish()
    return int(ExitStatus.OK)
