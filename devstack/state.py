"""The state of a stack: one private directory, one JSON file.

Files are written to a temporary name and renamed, so that a crash leaves either
the old or the new one. The lock is the kernel's (``flock``): it is released when
its process ends, so that ``kill -9`` cannot leave a stale one.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from devstack.errors import DevstackError, ExitStatus, disk_full
from devstack.migrations import STATE_VERSION, migrate
from devstack.owner import Owner
from devstack.paths import private_folder, state_home

STATE_FILE = "stack.json"
LOCK_FILE = "lock"

Phase = Literal["creating", "up", "deleting", "retained"]


@dataclass
class StackState:
    """The durable state of a stack.

    Attributes:
        name: the stack's name.
        provider: the provider that owns the cluster, such as "kind".
        context: the kubeconfig context of provider ``context``.
        namespace: the namespace of task pods.
        nodes: the number of nodes that the cluster was created with.
        kubernetes: the minor version of Kubernetes that the cluster was created with.
        engine: the container engine in which kind's nodes run; empty for Docker.
        pool: the tables ``[[pool]]`` that the cluster was created with.
        pool_file: the file that they are from; empty if they are from the command line.
        ports: host ports on loopback by name ("minio": 40311), chosen once.
        mapped_ports: names of the host ports that the cluster maps; it was created with them.
            The others are forwarded.
        credentials: random secrets by name, generated once.
        images: image references by catalogue name.
        loaded: the images loaded into the nodes, by catalogue name.
        without: optional services that are left out.
        included: optional services, off by default, that the stack has.
        airflow: the table ``[airflow]`` of devstack.toml.
        airflow_image: the image with the requirements and DAG files of the stack's Airflow;
            empty if it has none, so that the common one is enough.
        installations: Airflow's further installations that the stack has or had.
        mirror: the mirrors of registries.
        logins: the registries at which task pods have this machine's login.
        gangs: the cluster's gang scheduling: "native", "coscheduling" or
            "off"; empty if not yet detected.
        capabilities: what services detected of the cluster, by the service's name.
        databases: the databases that were added to a running Postgres.
        initialized_services: services whose one-time setup (a bucket, for example) is done.
        owner: what marks the stack's objects in a cluster as this state directory's; empty
            for stacks of releases that marked them with the stack's name only.
        cluster: fingerprint of the cluster that ``loaded`` and
            ``initialized_services`` describe.
        phase: the last command's progress: "creating" until `up` has finished,
            "deleting" until `down` has, "retained" if `down` kept the data.
        version: see :mod:`devstack.migrations`.
    """

    name: str
    provider: str = ""
    context: str = ""
    namespace: str = "metaflow"
    nodes: int = 1
    kubernetes: str = ""
    engine: str = ""
    pool: list[dict[str, Any]] = field(default_factory=list)
    pool_file: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    mapped_ports: list[str] = field(default_factory=list)
    credentials: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    loaded: dict[str, str] = field(default_factory=dict)
    without: list[str] = field(default_factory=list)
    included: list[str] = field(default_factory=list)
    airflow: dict[str, Any] = field(default_factory=dict)
    airflow_image: str = ""
    mirror: dict[str, str] = field(default_factory=dict)
    logins: list[str] = field(default_factory=list)
    gangs: str = ""
    capabilities: dict[str, str] = field(default_factory=dict)
    databases: list[str] = field(default_factory=list)
    installations: list[str] = field(default_factory=list)
    initialized_services: list[str] = field(default_factory=list)
    owner: str = ""
    cluster: str = ""
    phase: Phase = "creating"
    version: int = STATE_VERSION

    def credential(self, name: str, length: int = 24) -> str:
        """Return the secret ``name``, generated of ``length`` random bytes if new."""
        if name not in self.credentials:
            self.credentials[name] = secrets.token_urlsafe(length)
        return self.credentials[name]


class CorruptStateError(DevstackError):
    """The state file is corrupt."""


class StackDir:
    """The directory of one stack below the XDG state folder.

    Args:
        name: the stack's name.
        home: the folder of all stacks; None means the user's.
    """

    def __init__(self, name: str, home: Path | None = None) -> None:
        self.name = name
        self.path = (home or state_home()) / name

    @property
    def owner(self) -> Owner:
        """The owner of what this stack creates outside its directory."""
        return Owner.of(self.path)

    @property
    def admin_kubeconfig(self) -> Path:
        """The administrator's kubeconfig, for devstack's own use."""
        return self.path / "admin.kubeconfig"

    @property
    def kubeconfig(self) -> Path:
        """The submitter's kubeconfig, for run, shell, env and kubectl."""
        return self.path / "kubeconfig"

    @property
    def kubectl_cache(self) -> Path:
        """The discovery cache of kubectl, otherwise in the user's ~/.kube."""
        return self.path / "kubectl-cache"

    @property
    def metaflow_home(self) -> Path:
        """METAFLOW_HOME of the stack."""
        return self.path / "metaflow"

    @property
    def logs(self) -> Path:
        """Output of tools and of flow runs."""
        return self.path / "logs"

    def exists(self) -> bool:
        """Return True if a stack of this name was brought up, at least in part."""
        return (self.path / STATE_FILE).exists()

    def read(self) -> StackState | None:
        """Return the state, or None if there is no such stack.

        Raises:
            CorruptStateError: ``STATE_BROKEN``.
            DevstackError: ``STATE_NEWER`` if a later release of devstack wrote it.
        """
        try:
            raw = json.loads((self.path / STATE_FILE).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._corrupt(str(error)) from error
        if not isinstance(raw, dict):
            raise self._corrupt("it is not a JSON object")
        version = raw.get("version", 0)
        if type(version) is not int or version < 0:
            raise self._corrupt(f"{version!r} is not a version")
        if version > STATE_VERSION:
            raise self._newer(version)
        try:
            return msgspec.convert(migrate(raw, version), StackState)
        # A migration reads values whose types only the conversion after it checks.
        except (msgspec.ValidationError, TypeError) as error:
            raise self._corrupt(str(error)) from error

    def read_or_none(self) -> StackState | None:
        """Return the state, or None if there is none or it is corrupt.

        Raises:
            DevstackError: ``STATE_NEWER``.
        """
        with suppress(CorruptStateError):
            return self.read()
        return None

    def write(self, state: StackState) -> None:
        """Write ``state`` unless the file has it already; a crash leaves no incomplete file."""
        if not self._has(state):
            content = msgspec.to_builtins(state)
            self.write_file(STATE_FILE, json.dumps(content, indent=2, sort_keys=True))

    def _has(self, state: StackState) -> bool:
        try:
            content = json.loads((self.path / STATE_FILE).read_bytes())
        except (OSError, ValueError):
            return False
        return bool(content == msgspec.to_builtins(state))

    def write_file(self, name: str, text: str) -> Path:
        """Write a file of mode 0600 below the directory, by rename, and return its path."""
        target = self.path / name
        # Unique to this thread, too: nodes are created in parallel.
        temporary = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
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
        """The backup of a deleted cluster's volumes, for the next cluster."""
        return self.path / "volumes"

    def remove(self, *, keep_data: bool = False) -> None:
        """Remove the directory, the state last: an interruption leaves a known stack.

        Args:
            keep_data: keep the state and the backup of the volumes.

        Raises:
            DevstackError: ``DISK_FULL`` or ``STATE_UNWRITABLE``.
        """
        if not self.path.exists():
            return
        try:
            kept = {STATE_FILE, self.volumes.name} if keep_data else {STATE_FILE}
            for entry in self.path.iterdir():
                if entry.name not in kept:
                    _remove(entry)
            if not keep_data:
                shutil.rmtree(self.path)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _corrupt(self, cause: str) -> CorruptStateError:
        return CorruptStateError(
            f"cannot read the state of stack {self.name!r}",
            cause=cause,
            remedy=f"remove the stack: devstack down --name {self.name}",
            code="STATE_BROKEN",
        )

    def _newer(self, version: int) -> DevstackError:
        return DevstackError(
            f"cannot use stack {self.name!r}",
            cause=f"a later devstack wrote its state (version {version}; "
            f"this one reads up to {STATE_VERSION})",
            remedy="upgrade devstack, or choose another --name",
            code="STATE_NEWER",
            exit_status=ExitStatus.ENVIRONMENT,
        )

    @property
    def _lock_path(self) -> Path:
        # Outside the directory, so that `down` can remove that while holding the lock.
        return self.path.parent / f".{self.name}.{LOCK_FILE}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the stack's lock; its file is removed along with the directory.

        Raises:
            DevstackError: ``LOCKED``, with the holder's PID.
        """
        descriptor = self._acquire()
        # On a full disk `down` must still work; the lock is valid without the PID.
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
        """Return the PID of the process that holds the lock, without waiting; None if free."""
        try:
            descriptor = os.open(self._lock_path, os.O_RDONLY)
        except OSError:
            return None
        try:
            # A PID is there while the lock is held, or after `kill -9`. Without one the lock is
            # not tried, so that a command that takes it at the same moment is not refused.
            pid = int(os.pread(descriptor, 20, 0))
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return pid
        except (OSError, ValueError):
            return None
        finally:
            os.close(descriptor)
        return None

    def _acquire(self) -> int:
        while True:
            descriptor = self._open_lock()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as held:
                holder = os.pread(descriptor, 20, 0).decode()
                os.close(descriptor)
                raise self._in_use(holder) from held
            # `down` may have removed the file between our open and our lock.
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


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> DevstackError:
    error.filename = error.filename or str(path)
    return disk_full(error) or DevstackError(
        f"cannot write {path}",
        cause=os.strerror(error.errno) if error.errno else str(error),
        remedy="free disk space, or set DEVSTACK_HOME to a folder of yours on another disk",
        code="STATE_UNWRITABLE",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def stack_names(home: Path | None = None) -> list[str]:
    """Return the sorted names of all stacks."""
    root = home or state_home()
    if not root.exists():
        return []
    return sorted(path.parent.name for path in root.glob(f"*/{STATE_FILE}"))
