"""ArtifactCache: files that are expensive to make, each made once for its inputs and kept.

An artifact is made under a temporary name and renamed when it is complete, so an
interruption at any moment loses at most the artifact being made.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from devstack.errors import DevstackError
from devstack.parallel import POLL_SECONDS, sleep
from devstack.paths import cache_home
from devstack.pidfile import kill_orphan
from devstack.progress import Progress

KEY_LENGTH = 16
TOOLS = ("compile", "install")
"""The long-running processes of a build: `go build`, and the installer of Debian packages."""


def digest(*inputs: str | Path) -> str:
    """Return a key for ``inputs``: texts, files, and folders with all that is in them."""
    total = hashlib.sha256()
    for item in inputs:
        for name, content in _contents(item):
            total.update(f"{name}\0{len(content)}\0".encode())
            total.update(content)
    return total.hexdigest()[:KEY_LENGTH]


def _contents(item: str | Path) -> Iterator[tuple[str, bytes]]:
    if isinstance(item, str):
        yield "", item.encode()
        return
    files = [item] if item.is_file() else sorted(each for each in item.rglob("*") if each.is_file())
    for file in files:
        if "__pycache__" not in file.parts:
            yield file.relative_to(item.parent).as_posix(), file.read_bytes()


class ArtifactCache:
    """The artifacts below one folder.

    Args:
        root: the folder; by default the user's cache.

    Attributes:
        root: the folder.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_home()

    @property
    def owner(self) -> str:
        """A short name for this folder, to tell its Docker objects from another cache's."""
        return digest(str(self.root.absolute()))

    def pidfile(self, tool: str) -> Path:
        """Return the file that records a long-running process.

        The next build ends a process that outlived its devstack.

        Args:
            tool: one of TOOLS.
        """
        return self.root / f"{tool}.pid"

    def path(self, name: str, key: str) -> Path:
        """Return the path of an artifact, whether it exists or not."""
        return self.root / "artifacts" / name / key

    def have(self, name: str, key: str) -> bool:
        """Return True if the artifact exists."""
        return self.path(name, key).exists()

    def make(self, name: str, key: str, build: Callable[[Path], None]) -> Path:
        """Return the path of an artifact, built now if it does not exist.

        Args:
            name: the kind of artifact.
            key: the digest of everything it is made from.
            build: writes a file or a folder to the path it is called with.
        """
        path = self.path(name, key)
        if path.exists():
            return path
        unfinished = path.with_name(f"{key}.unfinished")
        remove(unfinished)
        path.parent.mkdir(parents=True, exist_ok=True)
        build(unfinished)
        unfinished.replace(path)
        self._remove_older(path)
        return path

    def add(self, name: str, key: str, made: Path) -> Path:
        """Move a file from a scratch folder into the cache; return its new path."""
        return self.make(name, key, lambda path: _rename(made, path))

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """Yield an empty folder; it is removed afterwards, or at the next use after a kill."""
        folder = self.root / "scratch" / name
        remove(folder)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            remove(folder)

    @contextmanager
    def lock(self, progress: Progress) -> Iterator[None]:
        """Hold the build lock; the kernel releases the lock of a process that died."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.root / "build.lock").open("a+") as file:
            _acquire(file, progress)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            _rename_folder_of_0_1(self.root)
            for tool in TOOLS:
                kill_orphan(self.pidfile(tool))
            yield

    def _remove_older(self, path: Path) -> None:
        for other in path.parent.iterdir():
            if other != path:
                remove(other)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _rename_folder_of_0_1(root: Path) -> None:
    former, current = root / "pieces", root / "artifacts"
    if former.exists() and not current.exists():
        former.rename(current)


def _rename(made: Path, path: Path) -> None:
    made.replace(path)


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _acquire(file: IO[str], progress: Progress) -> None:
    """Lock a file; in short turns, since no signal interrupts a thread that the kernel blocks."""
    noted = ""
    try:
        while not _try_lock(file):
            file.seek(0)
            holder = file.read() or "unknown"
            if holder != noted:
                noted = holder
                own = holder == str(os.getpid())
                what = "another build of this command" if own else f"the build of process {holder}"
                progress.note(f"waiting for {what}")
            sleep(POLL_SECONDS)
    except OSError as error:
        raise DevstackError(
            f"cannot lock {file.name}",
            cause=str(error),
            remedy="set DEVSTACK_CACHE to a folder on a local disk",
            code="CACHE_UNUSABLE",
        ) from error
