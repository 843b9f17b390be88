"""Files that record a background process, so that a later command can find or end it.

A record has the process's start time too: a process ID is reused, the two together never.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devstack.paths import private_folder

if TYPE_CHECKING:
    import psutil

END_TIMEOUT = 5.0
"""Seconds that a process has to end."""

_CLOCK_TOLERANCE = 0.1
"""Seconds by which a start time, computed from the time of boot, may vary."""


def write_pidfile(path: Path, pid: int, **details: Any) -> None:
    """Record a process, with details that JSON can represent; only the user may read the file."""
    import psutil

    private_folder(path.parent)
    record = {"pid": pid, "started": psutil.Process(pid).create_time(), **details}
    path.touch(mode=0o600)
    path.write_text(json.dumps(record))


def read_pidfile(path: Path) -> Mapping[str, Any]:
    """Return a record; empty if there is none or it is corrupt."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def recorded_process(path: Path) -> psutil.Process | None:
    """Return the process of a record, or None if it has ended."""
    import psutil

    record = read_pidfile(path)
    pid, started = record.get("pid"), record.get("started")
    if not isinstance(pid, int) or not isinstance(started, (int, float)):
        return None
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < _CLOCK_TOLERANCE
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def terminate_recorded(path: Path) -> bool:
    """Terminate the process of a record and remove the file; return True if it ran."""
    import psutil

    process = recorded_process(path)
    if process:
        process.terminate()
        try:
            # Reaps it, if it is a child of this process.
            process.wait(timeout=END_TIMEOUT)
        except psutil.TimeoutExpired:
            process.kill()
            _wait_ended(path)
    path.unlink(missing_ok=True)
    return process is not None


def kill_orphan(path: Path) -> None:
    """Kill the process group that a killed devstack left behind, if any; remove the file."""
    process = recorded_process(path)
    if process:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        _wait_ended(path)
    path.unlink(missing_ok=True)


def _wait_ended(path: Path) -> None:
    deadline = time.monotonic() + END_TIMEOUT
    while recorded_process(path) and time.monotonic() < deadline:
        time.sleep(0.02)
