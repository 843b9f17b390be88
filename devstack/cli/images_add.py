"""``devstack images add``, and what `images list` shows of the added images."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from devstack.cli.options import pass_output, stack_options, timeout_option, verbose_option
from devstack.cli.output import Output
from devstack.config import load

MEBIBYTE = 1 << 20


@click.command(
    "add",
    epilog="Examples: devstack images add team/model:1 | devstack images add ./Dockerfile --tag"
    " team/model:2 | devstack images add model.tar",
)
@click.argument("image", metavar="TAG|FILE.tar|DOCKERFILE")
@click.option(
    "--tag",
    default="",
    metavar="NAME:TAG",
    help="Name of the image in FILE.tar, or built from DOCKERFILE.  [default: that in the file,"
    " or the Dockerfile's folder with the tag dev]",
)
@timeout_option
@verbose_option
@stack_options
@pass_output
def add(output: Output, image: str, tag: str, config_file: Path | None, **chosen: Any) -> None:
    """Put an image of yours on the nodes of a stack, without a registry.

    TAG is an image of this machine; a DOCKERFILE is built first. After a change, add it again:
    running pods keep the old version, new ones get the new one. `devstack run` adds what a flow
    names by itself.
    """
    from devstack.lifecycle.added_images import add_image
    from devstack.stack import open_stack

    began = time.monotonic()
    stack = open_stack(load(config_file, **chosen), output.progress())
    added, changed = add_image(stack, image, tag)
    seconds = round(time.monotonic() - began, 2)
    output.data(added=added, changed=changed, seconds=seconds)
    for each in added:
        size = f"{each.size // MEBIBYTE} MiB"
        verb = "is on the nodes" if changed else "was on the nodes already"
        output.text(f"{each.reference} ({size}) {verb} ({seconds:.1f} s)")
    output.text(f'Next: @kubernetes(image="{added[0].reference}")')
    output.finish()


def show_added(output: Output, config_file: Path | None, chosen: dict[str, Any]) -> None:
    """Print the images that users added to the stack, if it is up."""
    from devstack.lifecycle.added_images import list_added
    from devstack.stack import open_stack

    stack = open_stack(load(config_file, **chosen))
    rows = list_added(stack) if stack.is_up else []
    output.data(added=rows)
    if not rows:
        return
    output.text(f"\n{'ADDED':<46} {'SIZE':>9}  STATE")
    for row in rows:
        output.text(f"{row.reference:<46} {f'{row.size // MEBIBYTE} MiB':>9}  {row.state}")
