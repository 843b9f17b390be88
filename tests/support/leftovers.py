"""Remove the stacks of test runs that were killed: idle, they take CPU time from the next run.

scripts/test runs ``python -m tests.support.leftovers`` before all tests with clusters.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from devstack.owner import DIRECTORY_LABEL
from tests.support.commandline import Devstack

_SESSION = re.compile(r".*/pytest-of-[^/]+/pytest-\d+")
"""The folder of one run of pytest; it has a lock file with the process id while pytest runs."""

VARIABLE = "DEVSTACK_HOME"
END_SECONDS = 60.0


def main() -> None:
    """Remove them, and print their names."""
    for directory in find_leftovers():
        sys.stderr.write(f"test: removing {directory.name}, which a killed test run left behind\n")
        end_commands(directory.parent.parent)
        Devstack(directory.name, directory.parent.parent).run("down")


def find_leftovers() -> Iterator[Path]:
    """Yield the directory of each stack in Docker whose test run is no more."""
    listed = subprocess.run(
        ["docker", "volume", "ls", "--format", f'{{{{.Label "{DIRECTORY_LABEL}"}}}}'],
        capture_output=True,
        text=True,
        check=True,
    )
    for line in sorted(set(listed.stdout.split("\n"))):
        session = _SESSION.match(line)
        if session and not is_running(Path(session[0])):
            yield Path(line)


def end_commands(home: Path) -> None:
    """End the commands that the killed test run had started, which may hold the stack's lock."""
    commands = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(VARIABLE) == str(home):
                commands.append(process)
                process.terminate()
    psutil.wait_procs(commands, timeout=END_SECONDS)


def is_running(session: Path) -> bool:
    """Return True if the process of a folder's test run exists."""
    lock = session / ".lock"
    return lock.is_file() and psutil.pid_exists(int(lock.read_text() or 0))


if __name__ == "__main__":
    main()
