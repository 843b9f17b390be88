"""``devstack images``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devstack.cli.engines import engine_option, engine_runner
from devstack.cli.images_add import MEBIBYTE, add, show_added
from devstack.cli.images_login import login, logout
from devstack.cli.mirrors import mirror_once_option
from devstack.cli.options import (
    json_option,
    pass_output,
    stack_options,
    verbose_option,
)
from devstack.cli.output import Output

if TYPE_CHECKING:
    from devstack.images import ImageStore
    from devstack.images.mirrors import Mirrors
    from devstack.images.store import Row
    from devstack.process import Runner
    from devstack.stack import Stack


@click.group("images", epilog="Example: devstack images list")
def command() -> None:
    """Add your own images to a stack; list, pull, build, save and load those that it runs."""


command.add_command(add)
command.add_command(login)
command.add_command(logout)


@command.command("list", epilog="Example: devstack images list --json")
@stack_options
@pass_output
def list_images(output: Output, config_file: Path | None, **chosen: Any) -> None:
    """Show the images that the stack runs, and those that you added to its nodes.

    An added image is outdated if this machine has another version of it by now.
    """
    from devstack.config import load
    from devstack.stack import open_stack

    rows = open_stack(load(config_file, **chosen), output.progress()).images.rows()
    output.data(images=rows)
    columns = f"{'NAME':<16} {'SOURCE':<9} {'SIZE':>9}  {'REFERENCE':<43} {'DIGEST':<19}"
    output.text(f"{columns} PUBLISHED AS")
    for row in rows:
        output.text(_line(row))
    show_added(output, config_file, chosen)
    output.finish()


@command.command("pull", epilog="Example: devstack images pull minio jobset")
@click.argument("names", nargs=-1)
@mirror_once_option
@engine_option
@stack_options
@verbose_option
@pass_output
def pull(
    output: Output,
    names: tuple[str, ...],
    config_file: Path | None,
    **chosen: Any,
) -> None:
    """Pull the missing images among NAMES (by default, all), from the stack's mirrors."""
    stack = _open(config_file, chosen)
    _get(output, names, _store(output, stack.runner, "pull", stack.mirrors))


@command.command("build", epilog="Example: devstack images build")
@click.argument("names", nargs=-1)
@engine_option
@verbose_option
@json_option
@pass_output
def build(output: Output, names: tuple[str, ...], engine: str | None) -> None:
    """Build the missing images among NAMES (by default, all) from packages."""
    _get(output, names, _store(output, engine_runner(engine), "build"))


@command.command("save", epilog="Example: devstack images save devstack.bundle")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--image", "names", multiple=True, help="Save only this image; repeatable.")
@click.option("--present", is_flag=True, help="Save only the images that this machine has already.")
@mirror_once_option
@engine_option
@stack_options
@verbose_option
@pass_output
def save(
    output: Output,
    file: Path,
    names: tuple[str, ...],
    present: bool,
    config_file: Path | None,
    **chosen: Any,
) -> None:
    """Write images and client programs to FILE, for a machine without network access."""
    from devstack.images.catalogue import IMAGES
    from devstack.providers.choose import client_tools
    from devstack.tools import ensure_tool

    stack, progress = _open(config_file, chosen), output.progress()
    runner = stack.runner
    clients = {tool.name: ensure_tool(tool, runner, progress) for tool in client_tools()}
    store = _store(output, runner, mirrors=stack.mirrors)
    if present:
        there = store.present(names or list(IMAGES))
        names = tuple(name for name, has in there.items() if has)
        if not names:
            raise click.UsageError("this machine has none of these images")
    store.save(file, names, clients)
    size = file.stat().st_size
    output.data(file=str(file), size=size)
    output.text(
        f"Wrote {file} ({size // MEBIBYTE} MiB). Load it with: devstack images load {file.name}"
    )
    output.finish()


@command.command("load", epilog="Example: devstack images load devstack.bundle")
@click.argument("file", type=click.Path(path_type=Path))
@engine_option
@verbose_option
@json_option
@pass_output
def load(output: Output, file: Path, engine: str | None) -> None:
    """Load a FILE written by `devstack images save`; see `images add` for your own images."""
    store = _store(output, engine_runner(engine))
    rows = store.rows(store.load(file))
    output.data(images=rows)
    for row in rows:
        output.text(_line(row))
        if row.source == "outdated":
            output.warn(f"{row.reference} was created by another version of devstack")
    output.text("Next: devstack up --offline")
    output.finish()


def _get(output: Output, names: tuple[str, ...], store: ImageStore) -> None:
    from devstack.images.catalogue import find_images

    wanted = [image.name for image in find_images(names)]
    store.ensure(wanted)
    rows = store.rows(wanted)
    times = store.build_times
    output.data(images=rows, steps=times)
    if times:
        output.text(f"{'START':>7} {'SECONDS':>8}  STEP")
    for each in times:
        output.text(f"{each.start:7.0f} {each.seconds:8.1f}  {each.title}")
    for row in rows:
        output.text(_line(row))
    output.finish()


def _open(config_file: Path | None, chosen: dict[str, Any]) -> Stack:
    from devstack.config import load
    from devstack.stack import open_stack

    return open_stack(load(config_file, **chosen))


def _store(
    output: Output, runner: Runner, source: str = "auto", mirrors: Mirrors | None = None
) -> ImageStore:
    from devstack.images import ImageStore

    return ImageStore(runner, output.progress(), source, mirrors=mirrors)


def _line(row: Row) -> str:
    size = f"{row.size // MEBIBYTE} MiB" if row.size else "-"
    digest = row.digest[:19] or "-"
    columns = f"{row.name:<16} {row.source:<9} {size:>9}  {row.reference:<43} {digest:<19}"
    return f"{columns} {row.upstream or '-'}"
