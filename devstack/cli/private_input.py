"""Values that must not be arguments, which every process of this machine can read."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from devstack.errors import DevstackError, ExitStatus

STDIN = Path("-")
"""The file that stands for standard input."""


def read_private(what: str, file: Path | None) -> str:
    """Return a value from a file, from standard input, or typed without being shown.

    One newline at its end is not part of it.

    Args:
        what: names it in the prompt and in errors.
        file: the file; :data:`STDIN` for standard input; None asks on a terminal, and
            reads standard input elsewhere.

    Raises:
        DevstackError: ``FILE_UNREADABLE``.
    """
    if file is None and sys.stdin.isatty():
        typed: str = click.prompt(what, hide_input=True, err=True, default="", show_default=False)
        return typed
    try:
        text = sys.stdin.read() if file in (None, STDIN) else Path(str(file)).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise DevstackError(
            f"cannot read the {what.lower()}",
            cause=str(error),
            remedy="name a text file, or - for standard input",
            code="FILE_UNREADABLE",
            exit_status=ExitStatus.USAGE,
        ) from error
    return text[:-1] if text.endswith("\n") else text
