"""Gives groups that must run alone exclusive use of the machine.

Each worker of pytest-xdist holds a shared lock of its test's class while the test runs, or from
the first to the last test of a lane of such a group. Each such group is a class; all other
groups together are one. Tests of two classes never run at the same time.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.groups import GROUPS, group_of

OTHERS = "others"
CLASSES = (*(group.name for group in GROUPS.values() if group.alone), OTHERS)


class MachineLock:
    """A lock between processes, which those of one class hold together.

    Args:
        folder: where its files are.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        # Held while waiting for other classes, so that one of them cannot starve this one.
        self._queue = (folder / "queue").open("w")
        self._locks = {name: (folder / name).open("w") for name in CLASSES}
        self._held = ""

    def acquire(self, name: str) -> None:
        """Wait until no process holds the lock for another class, unless this one has it."""
        if self._held:
            return
        fcntl.flock(self._queue, fcntl.LOCK_EX)
        for other in CLASSES:
            if other != name:
                fcntl.flock(self._locks[other], fcntl.LOCK_EX)
                fcntl.flock(self._locks[other], fcntl.LOCK_UN)
        fcntl.flock(self._locks[name], fcntl.LOCK_SH)
        fcntl.flock(self._queue, fcntl.LOCK_UN)
        self._held = name

    def release(self) -> None:
        """Release the lock."""
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
