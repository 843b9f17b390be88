"""The files of a folder of DAG files, as they are copied or put into an image."""

from __future__ import annotations

import os
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus

REQUIREMENTS = "requirements.txt"
IGNORED = {".git", ".venv", "venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".idea", ".vscode"}
MOST_BYTES = 50_000_000


def dag_files(folder: Path) -> dict[str, Path]:
    """Return the files by their paths in the folder; links are followed if they stay in it.

    Raises:
        DevstackError: ``DAG_FOLDER_INVALID``.
    """
    if not folder.is_dir():
        raise _invalid(folder, "it is not a folder")
    found: dict[str, Path] = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - IGNORED)
        for name in sorted(names):
            path = Path(parent) / name
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = path.resolve()
    if not any(name.endswith((".py", ".zip")) for name in found):
        raise _invalid(folder, "it contains no .py file")
    size = sum(path.stat().st_size for path in found.values())
    if size > MOST_BYTES:
        raise _invalid(folder, f"its files have {size // 1_000_000} MB, more than 50 MB")
    return found


def _invalid(folder: Path, cause: str) -> DevstackError:
    return DevstackError(
        f"cannot use {folder} as a folder of DAG files",
        cause=cause,
        remedy="name the folder that contains the DAG files",
        code="DAG_FOLDER_INVALID",
        exit_status=ExitStatus.USAGE,
    )
