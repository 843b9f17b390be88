"""The log files of flows."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from devstack.paths import private_folder

MAX_LOGS = 100
"""Maximum number of logs in a stack's folder; the oldest are removed."""

MAX_PREFIX = 150
"""Maximum length in bytes of the part that names the flow; file systems limit names to 255."""


def new_log(folder: Path, name: str) -> Path:
    """Return the path of a new log; remove the oldest if there are too many.

    Args:
        folder: the stack's folder of logs; created if it is missing.
        name: the prefix of the file's name; of a long one, the beginning is used.
    """
    private_folder(folder)
    # Another run may remove the same files at the same time.
    for old in sorted(folder.glob("*.log"), key=_written, reverse=True)[MAX_LOGS - 1 :]:
        with suppress(FileNotFoundError):
            old.unlink()
    began = time.strftime("%Y%m%d-%H%M%S")
    prefix = name.encode(errors="replace")[:MAX_PREFIX].decode(errors="ignore")
    return folder / f"{prefix}-{began}-{os.getpid()}.log"


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
