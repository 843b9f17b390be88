"""The repository that is served."""

from __future__ import annotations

import subprocess
from pathlib import Path

BRANCH = "main"
_SETTINGS = {
    "http.receivepack": "true",
    # A branch may be replaced: who pushes with --force means it.
    "receive.denyNonFastForwards": "false",
    "receive.fsckObjects": "true",
    "receive.autogc": "true",
    "gc.autoDetach": "false",
}


def create_repository(path: Path) -> None:
    """Create an empty repository whose branch is called main, unless it exists."""
    subprocess.run(
        ["git", "init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(path)], check=True
    )
    # The server is the only writer, so a lock is one of a process that was killed.
    for lock in path.rglob("*.lock"):
        lock.unlink()
    for name, value in _SETTINGS.items():
        subprocess.run(["git", f"--git-dir={path}", "config", name, value], check=True)
