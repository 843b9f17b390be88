"""Keeps tests of other groups from running beside those of a group that must run alone.

There is a lock for each such group, and one for all other groups together. A worker of
pytest-xdist holds the lock of its test while the test runs; in a group that runs alone, from the
first to the last test of its lane. Several workers can hold the same lock, but no two can hold
different ones.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.groups import GROUPS, group_of

OTHERS = "others"
LOCKS = (*(group.name for group in GROUPS.values() if group.alone), OTHERS)


class MachineLock:
    """Locks between processes, of which only one is held at a time, by one or more processes.

    Args:
        folder: where their files are.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        # Held while waiting for other locks to be released, so that none is taken again first.
        self._queue = (folder / "queue").open("w")
        self._locks = {name: (folder / name).open("w") for name in LOCKS}
        self._held = ""

    def acquire(self, name: str) -> None:
        """Take a lock once no process holds another one, unless this process has it already."""
        if self._held:
            return
        fcntl.flock(self._queue, fcntl.LOCK_EX)
        for other in LOCKS:
            if other != name:
                fcntl.flock(self._locks[other], fcntl.LOCK_EX)
                fcntl.flock(self._locks[other], fcntl.LOCK_UN)
        fcntl.flock(self._locks[name], fcntl.LOCK_SH)
        fcntl.flock(self._queue, fcntl.LOCK_UN)
        self._held = name

    def release(self) -> None:
        """Release the lock that this process holds."""
        fcntl.flock(self._locks[self._held], fcntl.LOCK_UN)
        self._held = ""


class _Plugin:
    """Holds the lock around the tests of one worker."""

    def __init__(self, lock: MachineLock) -> None:
        self._lock = lock

    # First, so that the wait does not count towards the test's time limit.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        group = group_of(item.nodeid)
        self._lock.acquire(group.name if group.alone else OTHERS)
        try:
            return (yield)
        finally:
            followed = nextitem is not None and group_of(nextitem.nodeid) == group
            if not (group.alone and followed):
                self._lock.release()


def pytest_configure(config: pytest.Config) -> None:
    """Take part in the locking if this is one of several workers."""
    workerinput = getattr(config, "workerinput", None)
    if workerinput:
        folder = Path(tempfile.gettempdir(), f"devstack-tests-{workerinput['testrunuid']}")
        config.pluginmanager.register(_Plugin(MachineLock(folder)))
