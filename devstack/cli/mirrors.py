"""The option ``--mirror``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def parse_mirrors(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str] | None:
    """Parse ``--mirror REGISTRY=HOST/PATH`` options; what they name is checked with the file's."""
    mirrors = {}
    for value in values:
        registry, equals, place = value.partition("=")
        if not equals:
            raise click.BadParameter(f"{value!r} is not REGISTRY=HOST[:PORT][/PATH]")
        mirrors[registry] = place
    return mirrors or None


def _option(effect: str) -> Callable[[Command], Command]:
    return click.option(
        "--mirror",
        multiple=True,
        metavar="REGISTRY=HOST/PATH",
        callback=parse_mirrors,
        help="Pull from a mirror: docker.io=registry.corp:5000/hub; without a host: no mirror. "
        f"{effect} Repeatable.",
    )


mirror_option = _option("Remembered.")
mirror_once_option = _option("For this command, with those of the stack.")
