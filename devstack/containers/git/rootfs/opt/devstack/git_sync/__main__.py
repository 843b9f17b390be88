"""Serve the latest commit of a branch until the container is stopped."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from git_sync.commits import Commits
from git_sync.failures import REPOSITORY_EMPTY, SyncError
from git_sync.git import Git
from git_sync.report import HEARTBEAT_SECONDS, Report, write_config_map
from git_sync.settings import Settings, read_settings

ALIVE = Path("/tmp/alive")  # noqa: S108 - a pod's own
"""Touched by each turn; the liveness probe looks at it."""
NAME = "GIT_SYNC_CONFIG_MAP"


def main() -> None:
    """Follow the branch that the environment names."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = read_settings(os.environ)
    report = Report(write_config_map(os.environ[NAME]), log)
    scratch = Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108
    commits = Commits(settings, Git(settings, scratch, tick=lambda: stay_alive(report)))
    commits.prepare()
    while True:
        began = time.monotonic()
        look(settings, commits, report)
        wait(commits, report, began + settings.interval)


def log(line: str) -> None:
    """Write a line to the container's log."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def stay_alive(report: Report) -> None:
    """Show that the program runs: a fetch may take ten minutes."""
    ALIVE.touch()
    report.repeat()


def look(settings: Settings, commits: Commits, report: Report) -> None:
    """Look at the branch once, and report the result."""
    details = {"repo": settings.repo, "branch": settings.branch, "subfolder": settings.subfolder}
    state = "synced"
    try:
        commits.update()
    except SyncError as error:
        state = "empty" if error.code == REPOSITORY_EMPTY else "failed"
        details |= {"code": error.code, "reason": error.reason}
    except OSError as error:
        state = "failed"
        details |= {"code": "VOLUME_UNUSABLE", "reason": str(error)}
    served = commits.served()
    if served:
        details |= {"commit": served.id, "subject": served.subject}
    report.show(state, **details)


def wait(commits: Commits, report: Report, until: float) -> None:
    """Wait until a time of the monotonic clock; the interval may be an hour."""
    while True:
        commits.tend()
        stay_alive(report)
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, HEARTBEAT_SECONDS, max(0.05, commits.tend_in)))


if __name__ == "__main__":
    main()
