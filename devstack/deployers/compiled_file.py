"""Write what a flow was compiled to into a file, instead of delivering it."""

from __future__ import annotations

from pathlib import Path

from devstack.errors import DevstackError, ExitStatus


def write_compiled(text: str, name: str, target: Path, code: str) -> Path:
    """Write a file; return its path.

    Args:
        text: its content.
        name: its name if ``target`` is a folder.
        target: a file, or a folder that exists.
        code: the code of the error.

    Raises:
        DevstackError: the file cannot be written.
    """
    path = target / name if target.is_dir() else target
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DevstackError(
            f"cannot write {path}",
            cause=error.strerror or str(error),
            remedy="name a file in a folder that exists, or such a folder",
            code=code,
            exit_status=ExitStatus.USAGE,
        ) from error
    return path
