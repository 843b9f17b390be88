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
from typing import Any

from devstack.errors import DevstackError, ExitStatus, disk_full
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
        without: optional services that are left out.
        airflow: the table ``[airflow]`` of devstack.toml, as it was last named.
        gangs: what the cluster offers for gang scheduling: "native",
            "coscheduling" or "off"; empty where nobody has looked yet.
        initialized_services: services whose one-time setup (a bucket, for example) is done.
        cluster: fingerprint of the cluster that ``loaded`` and
            ``initialized_services`` describe.
        phase: "creating", "up" or "deleting"; tells what an interrupted
            command was doing. "retained" if the cluster was removed and its data
            is kept for the next `up`.
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
    without: list[str] = field(default_factory=list)
    airflow: dict[str, Any] = field(default_factory=dict)
    gangs: str = ""
    initialized_services: list[str] = field(default_factory=list)
    cluster: str = ""
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
    def kubectl_cache(self) -> Path:
        """What kubectl keeps of the API; it would go below the user's own ~/.kube."""
        return self.path / "kubectl-cache"

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
            DevstackError: ``STATE_BROKEN`` where the file cannot be understood.
        """
        try:
            raw = json.loads((self.path / STATE_FILE).read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as broken:
            raise self._broken(str(broken)) from broken
        if not _is_state(raw):
            raise self._broken("it is not what devstack writes")
        raw = _upgrade(raw)
        known = {f.name for f in fields(StackState)}
        return StackState(**{key: value for key, value in raw.items() if key in known})

    def read_or_none(self) -> StackState | None:
        """Return the state, or None where there is none that can be read."""
        with suppress(DevstackError):
            return self.read()
        return None

    def write(self, state: StackState) -> None:
        """Keep ``state``; the file on disk is always whole."""
        if self.read_or_none() != state:
            self.write_file(STATE_FILE, json.dumps(asdict(state), indent=2, sort_keys=True))

    def write_file(self, name: str, text: str) -> Path:
        """Write a file below the directory, mode 0600, by rename; return its path."""
        target = self.path / name
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            private_folder(self.path)
            private_folder(target.parent)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise _unwritable(target, error) from error
        return target

    @property
    def volumes(self) -> Path:
        """What the volumes held of a cluster that is gone, for the next one."""
        return self.path / "volumes"

    def remove(self, *, keep_data: bool = False) -> None:
        """Remove the directory and all in it.

        The state goes last: where this is cut short, the stack is still known.

        Args:
            keep_data: leave the state and the volumes' contents.

        Raises:
            DevstackError: ``DISK_FULL`` or ``STATE_UNWRITABLE`` where something cannot be removed.
        """
        if not self.path.exists():
            return
        try:
            kept = {STATE_FILE, self.volumes.name} if keep_data else {STATE_FILE}
            for entry in self.path.iterdir():
                if entry.name not in kept:
                    _discard(entry)
            if not keep_data:
                shutil.rmtree(self.path)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _broken(self, cause: str) -> DevstackError:
        return DevstackError(
            f"cannot read the state of stack {self.name!r}",
            cause=cause,
            remedy=f"devstack down --name {self.name} removes the stack all the same",
            code="STATE_BROKEN",
        )

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
        descriptor = self._locked()
        # A full disk must not keep `down` from making room: the lock holds without a name.
        with suppress(OSError):
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
            if not self.path.exists():
                self._lock_path.unlink(missing_ok=True)
            os.close(descriptor)

    def holder(self) -> int | None:
        """Return the process that holds the lock, as far as can be told without taking it."""
        import psutil

        try:
            pid = int(self._lock_path.read_text())
        except (OSError, ValueError):
            return None
        return pid if psutil.pid_exists(pid) else None

    def _locked(self) -> int:
        while True:
            descriptor = self._open_lock()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as held:
                holder = os.pread(descriptor, 20, 0).decode()
                os.close(descriptor)
                raise self._in_use(holder) from held
            # A `down` may have removed the file between our open and our lock.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), self._lock_path.stat()):
                    os.ftruncate(descriptor, 0)
                    return descriptor
            os.close(descriptor)

    def _open_lock(self) -> int:
        try:
            private_folder(self.path.parent)
            return os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unwritable(self._lock_path, error) from error

    def _in_use(self, holder: str) -> DevstackError:
        process = f"process {holder}" if holder else "another process"
        return DevstackError(
            f"stack {self.name!r} is in use by another devstack",
            cause=f"{process} holds the lock",
            remedy=f"wait for {process} to end, then run the command again",
            code="LOCKED",
        )


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_state(raw: object) -> bool:
    """Tell whether JSON has the types of :class:`StackState`, the stack's name at least."""
    if not isinstance(raw, dict) or "name" not in raw:
        return False
    sample = asdict(StackState(name=""))
    return all(isinstance(raw.get(key, value), type(value)) for key, value in sample.items())


def _upgrade(raw: dict[str, Any]) -> dict[str, Any]:
    """Return state that an earlier release wrote, with the names that this one uses."""
    upgraded = dict(raw)
    if "prepared" in upgraded:
        upgraded["initialized_services"] = upgraded.pop("prepared")
    if upgraded.get("phase") == "kept":
        upgraded["phase"] = "retained"
    return upgraded


def _unwritable(path: Path, error: OSError) -> DevstackError:
    error.filename = error.filename or str(path)
    return disk_full(error) or DevstackError(
        f"cannot write {path}",
        cause=os.strerror(error.errno) if error.errno else str(error),
        remedy="free some room, or set DEVSTACK_HOME to a folder of yours on another disk",
        code="STATE_UNWRITABLE",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def stack_names(home: Path | None = None) -> list[str]:
    """Return the names of all stacks that have a state, sorted."""
    root = home or state_home()
    if not root.exists():
        return []
    return sorted(path.parent.name for path in root.glob(f"*/{STATE_FILE}"))
