"""Commits of the branch as folders, and the link to the one that Airflow reads.

Layout below the folder: ``repository``, the clone; ``commits/<id>``, one folder for each
commit; ``dags``, a symbolic link into one of these. It is replaced by a rename, so that a reader
sees all files of one commit, or all of another one.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from git_sync.failures import (
    BRANCH_MISSING,
    OTHER,
    REPOSITORY_EMPTY,
    SUBFOLDER_MISSING,
    SyncError,
)
from git_sync.git import FETCH_SECONDS, Git
from git_sync.settings import Settings

LINK = "dags"
GRACE_SECONDS = 60.0
"""How long a commit's folder is kept after another one was linked: tasks may be reading it."""

TOUCH_SECONDS = 4.0
"""Seconds after which the files of a new commit are touched once more.

Airflow compares a file's modification time with the end of the last parse, so it would ignore
a file that was replaced while its predecessor was parsed.
"""
_REF = "refs/devstack/branch"
_UNFINISHED = ".unfinished-"


@dataclass(frozen=True)
class Commit:
    """A commit that is served.

    Attributes:
        id: its hash.
        subject: the first line of its message.
    """

    id: str
    subject: str


class Commits:
    """The commits of one branch.

    Args:
        settings: what to follow.
        git: runs git.
    """

    def __init__(self, settings: Settings, git: Git) -> None:
        self._settings = settings
        self._git = git
        self._folders = settings.folder / "commits"
        self._link = settings.folder / LINK
        self._touch_at: float | None = None
        self._failed = 0
        self._known = Commit("", "")

    def prepare(self) -> None:
        """Create the clone, and remove what an interrupted predecessor has left."""
        self._folders.mkdir(parents=True, exist_ok=True)
        for left in self._folders.glob(f"{_UNFINISHED}*"):
            _remove(left)
        clone = self._settings.folder / "repository"
        # No other process writes to the clone, so a lock is one of a process that was killed.
        for lock in clone.rglob("*.lock"):
            lock.unlink()
        self._git.local("init", "--quiet", "--bare", str(clone))

    def served(self) -> Commit | None:
        """Return the commit that Airflow reads; None if there is none yet."""
        commit = self._linked()
        if not commit:
            return None
        if commit != self._known.id:
            self._known = Commit(commit, self._subject(commit))
        return self._known

    def update(self) -> bool:
        """Serve the branch's latest commit; return True if it is another one.

        Raises:
            SyncError: it cannot be served; the former one still is.
        """
        try:
            latest = self._latest()
            if self._is_served(latest):
                self._failed = 0
                return False
            commit = self._fetch(latest)
            self._require_subfolder(commit)
            self._check_out(commit)
        except SyncError as error:
            self._repair(error)
            raise
        self._failed = 0
        return self._serve(commit)

    def tend(self) -> None:
        """Touch files a second time, and remove folders that were left long ago."""
        if self._touch_at is not None and time.monotonic() >= self._touch_at:
            self._touch_at = None
            self._touch()
        current = self._linked()
        for folder in self._folders.iterdir():
            age = time.time() - folder.stat().st_mtime
            if folder.name != current and age > GRACE_SECONDS:
                # Renamed first: what a killed process has left of it must not be taken for the
                # commit, which the branch may return to.
                left = folder.with_name(f"{_UNFINISHED}{folder.name.removeprefix(_UNFINISHED)}")
                _remove(folder.replace(left))

    @property
    def tend_in(self) -> float:
        """Seconds until :meth:`tend` has something to do soon; infinite if it has not."""
        if self._touch_at is None:
            return float("inf")
        return max(0.0, self._touch_at - time.monotonic())

    def _subject(self, commit: str) -> str:
        try:
            return self._git.local("log", "-1", "--format=%s", commit).strip()[:200]
        except SyncError:
            # The clone was made again, and has other commits by now.
            return ""

    def _latest(self) -> str:
        settings = self._settings
        wanted = f"refs/heads/{settings.branch}"
        refs = _refs(self._git.remote("ls-remote", settings.repo, wanted))
        if wanted in refs:
            return refs[wanted]
        heads = _refs(self._git.remote("ls-remote", "--heads", settings.repo))
        if wanted in heads:
            # It was pushed in between.
            return heads[wanted]
        names = sorted(name.removeprefix("refs/heads/") for name in heads)
        if not names:
            raise SyncError(REPOSITORY_EMPTY, "the repository has no commit yet")
        known = ", ".join(names[:10])
        raise SyncError(
            BRANCH_MISSING, f"there is no branch {settings.branch}; the branches are {known}"
        )

    def _fetch(self, latest: str) -> str:
        """Fetch the branch, and return its commit: it may have moved since ``latest``."""
        settings = self._settings
        depth = [f"--depth={settings.depth}"] if settings.depth else []
        refs = f"+refs/heads/{settings.branch}:{_REF}"
        options = ["--quiet", "--force", "--no-tags", "--no-write-fetch-head", *depth]
        self._git.remote("fetch", *options, settings.repo, refs, timeout=FETCH_SECONDS)
        return self._git.local("rev-parse", "--verify", f"{_REF}^{{commit}}").strip() or latest

    def _require_subfolder(self, commit: str) -> None:
        subfolder = self._settings.subfolder
        if not subfolder:
            return
        entries = self._git.local("ls-tree", "-d", commit, "--", subfolder)
        if not entries.strip():
            raise SyncError(SUBFOLDER_MISSING, f"commit {commit[:10]} has no folder {subfolder!r}")

    def _check_out(self, commit: str) -> None:
        folder = self._folders / commit
        if folder.exists():
            return
        unfinished = self._folders / f"{_UNFINISHED}{commit}"
        index = self._folders / f"{_UNFINISHED}{commit}.index"
        for left in (unfinished, index):
            _remove(left)
        unfinished.mkdir()
        variables = {"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(unfinished)}
        self._git.local("read-tree", commit, variables=variables)
        self._git.local("checkout-index", "--all", "--force", variables=variables)
        index.unlink()
        unfinished.rename(folder)

    def _serve(self, commit: str) -> bool:
        target = self._target(commit)
        former = self._linked()
        new = self._settings.folder / f".{LINK}.new"
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(self._link)
        if former and former != commit:
            # The time from which on its folder is kept.
            os.utime(self._folders / former)
        self._touch()
        self._touch_at = time.monotonic() + TOUCH_SECONDS
        return True

    def _touch(self) -> None:
        """Give all files the present as their modification time."""
        for path in self._link.resolve().rglob("*"):
            if path.is_file() and not path.is_symlink():
                os.utime(path)

    def _is_served(self, commit: str) -> bool:
        # A link may lead nowhere: others can write to the volume.
        return self._link.exists() and os.readlink(self._link) == self._target(commit)

    def _target(self, commit: str) -> str:
        # Relative, so that it is valid wherever the volume is mounted.
        return "/".join(filter(None, ("commits", commit, self._settings.subfolder)))

    def _linked(self) -> str:
        """Return the id of the commit that is served; empty if there is none."""
        if not self._link.exists():
            return ""
        return Path(os.readlink(self._link)).parts[1]

    def _repair(self, error: SyncError) -> None:
        """Make the clone again after failures that are not the repository's."""
        self._failed = self._failed + 1 if error.code == OTHER else 0
        if self._failed > 1:
            self._failed = 0
            _remove(self._settings.folder / "repository")
            self.prepare()


def _refs(listing: str) -> dict[str, str]:
    """Return the commits by reference, from what ``git ls-remote`` prints."""
    pairs = (line.split("\t") for line in listing.splitlines() if "\t" in line)
    return {name: commit for commit, name in pairs}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
