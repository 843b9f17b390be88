"""``devstack down``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devstack.cli.options import (
    config_option,
    json_option,
    name_option,
    pass_output,
    timeout_option,
    verbose_option,
)
from devstack.cli.output import Output
from devstack.config import load

if TYPE_CHECKING:
    from devstack.owner import Owner


@click.command("down", epilog="Example: devstack down --name ci")
@name_option
@click.option("--dry-run", is_flag=True, help="Print what would be removed, and remove nothing.")
@click.option(
    "--keep-data", is_flag=True, help="Keep volumes, ports and passwords for the next `up`."
)
@timeout_option
@config_option
@json_option
@verbose_option
@pass_output
def command(
    output: Output, config_file: Path | None, dry_run: bool, keep_data: bool, **chosen: Any
) -> None:
    """Remove the stack: cluster, volumes, network, ports, files.

    Images stay in the cache for the next `up`.
    """
    from devstack.lifecycle.down import build_undo, down, foreign_owner
    from devstack.stack import open_stack

    began = time.monotonic()
    stack = open_stack(load(config_file, **chosen), output.progress(), ignore_corrupt_state=True)
    if dry_run:
        titles = [title for title, _ in build_undo(stack, keep_data=keep_data)]
        titles += [f"{'Keep the data in' if keep_data else 'Remove'} {stack.dir.path}"]
        output.data(steps=titles)
        for title in titles:
            output.text(title)
        _report_foreign(output, foreign_owner(stack))
        output.finish()
        return
    done = down(stack, keep_data=keep_data)
    seconds = time.monotonic() - began
    output.data(name=stack.spec.name, removed=bool(done), seconds=round(seconds, 2))
    owner = foreign_owner(stack)
    _report_foreign(output, owner)
    if done and keep_data:
        output.text(f"Stack {stack.spec.name!r} is removed; its data is kept ({seconds:.1f} s)")
    elif done:
        output.text(f"Stack {stack.spec.name!r} is removed ({seconds:.1f} s)")
    else:
        location = f" in {stack.dir.path.parent}" if owner else ""
        output.text(f"There is no stack {stack.spec.name!r}{location}; nothing to do")
    output.finish()


def _report_foreign(output: Output, owner: Owner | None) -> None:
    """Name the other owner of a cluster of the stack's name, if there is one."""
    if owner:
        output.data(owner={"directory": owner.directory, "user": owner.user})
        output.text(f"The cluster of this name belongs to {owner}: left as it is")
