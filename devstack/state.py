"""What devstack remembers of a stack: one private directory, one JSON file.

Files are written to a temporary name and renamed, so that a crash leaves the
old or the new one.  The lock is the kernel's (``flock``): it goes with the
process that held it, so a ``kill -9`` cannot leave it stale.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO

from devstack.errors import DevstackError
from devstack.paths import private_folder, state_home

STATE_FILE = "stack.json"
LOCK_FILE = "lock"


@dataclass
class StackState:
    """The lasting facts of one stack.

    Attributes:
        name: the stack's name.
        provider: the provider that owns the cluster, such as "kind".
        context: the kubeconfig context used, for provider ``context``.
        namespace: where task pods run.
        nodes: how many nodes the cluster was made with.
        ports: host ports on loopback by name, chosen once ("minio": 40311).
        credentials: random secrets by name, made once.
        images: image reference by catalogue name, as they were brought up.
        loaded: the images that the nodes were given, by catalogue name.
        prepared: services whose one-time work (a bucket made) is behind them.
        phase: "creating", "up" or "deleting"; tells what an interrupted
            command was doing.
    """

    name: str
    provider: str = ""
    context: str = ""
    namespace: str = "metaflow"
    nodes: int = 1
    ports: dict[str, int] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    loaded: dict[str, str] = field(default_factory=dict)
    prepared: list[str] = field(default_factory=list)
    phase: str = "creating"

    def credential(self, name: str, length: int = 24) -> str:
        """Return the secret called ``name``, made of ``length`` random bytes if new."""
        if name not in self.credentials:
            self.credentials[name] = secrets.token_urlsafe(length)
        return self.credentials[name]


class StackDir:
    """The directory of one stack below the XDG state folder.

    Args:
        name: the stack's name.
        home: the folder of all stacks; the user's own where not given.
    """

    def __init__(self, name: str, home: Path | None = None) -> None:
        self.name = name
        self.path = (home or state_home()) / name

    @property
    def admin_kubeconfig(self) -> Path:
        """The administrator's kubeconfig, used by devstack alone."""
        return self.path / "admin.kubeconfig"

    @property
    def kubeconfig(self) -> Path:
        """The submitter's kubeconfig, handed out by run, shell and env."""
        return self.path / "kubeconfig"

    @property
    def metaflow_home(self) -> Path:
        """METAFLOW_HOME of the stack."""
        return self.path / "metaflow"

    @property
    def logs(self) -> Path:
        """Output kept of tools and of flow runs."""
        return self.path / "logs"

    def exists(self) -> bool:
        """True where a stack of this name was brought up, in whole or in part."""
        return (self.path / STATE_FILE).exists()

    def read(self) -> StackState | None:
        """Return the state, or None where there is no such stack.

        Raises:
            DevstackError: ``STATE_BROKEN`` where the file is not ours to read.
        """
        try:
            raw = json.loads((self.path / STATE_FILE).read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as broken:
            raise DevstackError(
                f"cannot read the state of stack {self.name!r}",
                cause=str(broken),
                remedy=f"devstack down --name {self.name}",
                code="STATE_BROKEN",
            ) from broken
        known = {f.name for f in fields(StackState)}
        return StackState(**{key: value for key, value in raw.items() if key in known})

    def write(self, state: StackState) -> None:
        """Keep ``state``; the file on disk is always whole."""
        self.write_file(STATE_FILE, json.dumps(asdict(state), indent=2, sort_keys=True))

    def write_file(self, name: str, text: str) -> Path:
        """Write a file below the directory, mode 0600, by rename; return its path."""
        target = self.path / name
        private_folder(self.path)
        private_folder(target.parent)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except OSError as full:
            with suppress(OSError):
                temporary.unlink()
            raise DevstackError(
                f"cannot write {target}",
                cause=os.strerror(full.errno or 0),
                remedy="free some room, or set DEVSTACK_HOME to another disk",
                code="STATE_UNWRITABLE",
            ) from full
        return target

    def remove(self) -> None:
        """Remove the directory and all in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def _lock_path(self) -> Path:
        # Beside the directory, so that `down` can remove that whole while holding it.
        return self.path.parent / f".{self.name}.{LOCK_FILE}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the stack's lock; its file goes with the directory.

        Raises:
            DevstackError: ``LOCKED``, with the holder's pid, where another
                devstack is at work on this stack.
        """
        private_folder(self.path.parent)
        file = self._locked_file()
        with file:
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)
                if not self.path.exists():
                    self._lock_path.unlink(missing_ok=True)

    def _locked_file(self) -> IO[str]:
        while True:
            file = self._lock_path.open("a+")
            os.fchmod(file.fileno(), 0o600)
            self._take(file)
            # A `down` may have removed the file between our open and our lock.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), self._lock_path.stat()):
                    return file
            file.close()

    def _take(self, file: IO[str]) -> None:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            file.close()
            holder = self._lock_path.read_text().strip() or "unknown"
            raise DevstackError(
                f"stack {self.name!r} is in use by another devstack",
                cause=f"process {holder} holds the lock",
                remedy=f"wait for process {holder} to end, then run the command again",
                code="LOCKED",
            ) from held


def stack_names(home: Path | None = None) -> list[str]:
    """Return the names of all stacks that have a state, sorted."""
    root = home or state_home()
    if not root.exists():
        return []
    return sorted(path.parent.name for path in root.glob(f"*/{STATE_FILE}"))
