"""The files in which the output of flows is kept."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from devstack.paths import private_folder

KEPT = 100
"""Logs kept in a stack's folder; the oldest go first."""


def new_log(folder: Path, name: str) -> Path:
    """Return the path of a new log, and remove the oldest where there are too many.

    Args:
        folder: the stack's folder of logs; made where it is missing.
        name: how the file's name begins.
    """
    private_folder(folder)
    # Another run may remove the same ones just now.
    for old in sorted(folder.glob("*.log"), key=_written, reverse=True)[KEPT - 1 :]:
        with suppress(FileNotFoundError):
            old.unlink()
    began = time.strftime("%Y%m%d-%H%M%S")
    return folder / f"{name}-{began}-{os.getpid()}.log"


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
