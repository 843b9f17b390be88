"""Gives tests of groups that must run alone exclusive use of the machine.

Each worker of pytest-xdist holds a shared lock while one of its tests runs, and an exclusive
one from the first to the last test of such a group.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.groups import group_of


class MachineLock:
    """A lock for readers and writers, between processes.

    Args:
        folder: where its two files are.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._lock = (folder / "lock").open("w")
        # Held while waiting for the lock, so that readers cannot starve a writer.
        self._queue = (folder / "queue").open("w")
        self._held = False

    def acquire(self, alone: bool) -> None:
        """Wait for the lock, unless this process holds it already."""
        if self._held:
            return
        fcntl.flock(self._queue, fcntl.LOCK_EX)
        fcntl.flock(self._lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(self._queue, fcntl.LOCK_UN)
        self._held = True

    def release(self) -> None:
        """Release the lock."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        self._held = False


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
        self._lock.acquire(group.alone)
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
