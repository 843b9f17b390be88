"""ArtifactCache: files that cost time to make, each made once for its inputs and kept.

A piece is made under a temporary name and renamed when it is whole, so an
interruption at any moment loses at most the piece being made.
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
from devstack.paths import cache_home
from devstack.process import kill_orphan
from devstack.progress import Progress

KEY_LENGTH = 16


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
    """The pieces kept below one folder.

    Args:
        root: the folder; below the user's cache if None.

    Attributes:
        root: the folder.
        pidfile: where a long-running tool is noted, so that the next build can
            end one that outlived its devstack.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_home()
        self.pidfile = self.root / "build.pid"

    def path(self, name: str, key: str) -> Path:
        """Return where the piece lies, or would."""
        return self.root / "pieces" / name / key

    def have(self, name: str, key: str) -> bool:
        """Tell whether the piece is there."""
        return self.path(name, key).exists()

    def make(self, name: str, key: str, build: Callable[[Path], None]) -> Path:
        """Return the piece, built now if it is not there.

        Args:
            name: what it is.
            key: the digest of everything it is made from.
            build: makes it, as a file or a folder at the path it is given.
        """
        path = self.path(name, key)
        if path.exists():
            return path
        unfinished = path.with_name(f"{key}.unfinished")
        remove(unfinished)
        path.parent.mkdir(parents=True, exist_ok=True)
        build(unfinished)
        unfinished.replace(path)
        self._forget_older(path)
        return path

    def add(self, name: str, key: str, made: Path) -> Path:
        """Move a file made elsewhere below the same root to where the piece belongs."""
        return self.make(name, key, lambda path: _rename(made, path))

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """Give an empty folder that is removed afterwards, and at the next use."""
        folder = self.root / "scratch" / name
        remove(folder)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            remove(folder)

    @contextmanager
    def lock(self, progress: Progress) -> Iterator[None]:
        """Let one process build at a time; the kernel frees the lock of one that died."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.root / "build.lock").open("a+") as file:
            _acquire(file, progress)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            kill_orphan(self.pidfile)
            yield

    def _forget_older(self, path: Path) -> None:
        for other in path.parent.iterdir():
            if other != path:
                remove(other)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _rename(made: Path, path: Path) -> None:
    made.replace(path)


def _acquire(file: IO[str], progress: Progress) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        progress.note(f"waiting for the build of process {file.read() or 'unknown'}")
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        raise DevstackError(
            f"cannot lock {file.name}",
            cause=str(error),
            remedy="set DEVSTACK_CACHE to a folder on a local disk",
            code="CACHE_UNUSABLE",
        ) from error
