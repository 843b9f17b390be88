"""The files of a folder of DAG files, as they are copied or put into an image."""

from __future__ import annotations

import os
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus

REQUIREMENTS = "requirements.txt"
IGNORED = {".git", ".venv", "venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".idea", ".vscode"}
MOST_BYTES = 50_000_000


def dag_files(folder: Path) -> dict[str, Path]:
    """Return the files by their paths in the folder; links to other files of it are followed.

    Raises:
        DevstackError: ``DAG_FOLDER_INVALID``, also for a link that leads elsewhere: what it leads
            to may be private, or would be missing in the image.
    """
    if not folder.is_dir():
        raise _invalid(folder, "it is not a folder")
    found: dict[str, Path] = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - IGNORED)
        for path in (Path(parent) / name for name in [*folders, *sorted(names)]):
            if path.is_symlink():
                _require_inside(path, folder)
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = path.resolve()
    if not any(name.endswith((".py", ".zip")) for name in found):
        raise _invalid(folder, "it contains no .py file")
    size = sum(path.stat().st_size for path in found.values())
    if size > MOST_BYTES:
        raise _invalid(folder, f"its files have {size // 1_000_000} MB, more than 50 MB")
    return found


def _require_inside(link: Path, folder: Path) -> None:
    name = link.relative_to(folder).as_posix()
    if link.is_dir():
        raise _invalid(folder, f"the link {name} leads to a folder; put its files there instead")
    if not link.resolve().is_relative_to(folder.resolve()):
        raise _invalid(folder, f"the link {name} leads out of it; put the file there instead")


def _invalid(folder: Path, cause: str) -> DevstackError:
    return DevstackError(
        f"cannot use {folder} as a folder of DAG files",
        cause=cause,
        remedy="name the folder that contains the DAG files",
        code="DAG_FOLDER_INVALID",
        exit_status=ExitStatus.USAGE,
    )
