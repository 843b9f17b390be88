"""Checks of disks: space, and file systems that cannot hold a stack's files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from devstack.doctor.check import (
    BY_DEGREE,
    REQUEST_TIMEOUT,
    Check,
    Fault,
    Finding,
    NotApplicableError,
)
from devstack.doctor.engine import require_engine
from devstack.paths import cache_home, state_home
from devstack.stack import Stack

GIB = 1024**3
DISK_TO_RUN = 2 * GIB
DISK_TO_BUILD = 15 * GIB
DISK_OF_ENGINE = 10 * GIB
"""Bytes of a node with the stack's images, and what pods write."""

DISK_OF_RUNNING_ENGINE = 2 * GIB

SHARED = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "drvfs", "fuse.sshfs", "vboxsf", "afpfs"}
)
"""File systems of other machines: locks and file modes do not work there, or not always."""

MOUNTS = Path("/proc/self/mounts")
_FREE_ON_NODE = "df --output=avail -B1 /var/lib/containerd | tail -n 1"


def _disk(stack: Stack) -> list[Finding]:
    found = []
    for folder, need, use in (
        (state_home(), DISK_TO_RUN, "the stack's files"),
        (cache_home(), DISK_TO_BUILD, "building images"),
    ):
        free = shutil.disk_usage(_nearest_existing(folder)).free
        if free < need:
            found.append(
                Finding(
                    f"{free / GIB:.1f} GiB free in {folder}; {use} need {need / GIB:.0f}",
                    "free disk space, or set DEVSTACK_HOME or DEVSTACK_CACHE to another disk",
                    "DISK_FULL",
                    "error" if free < DISK_TO_RUN / 4 else "warning",
                )
            )
    return [*found, *_unsuitable(state_home(), cache_home())]


def _unsuitable(state: Path, cache: Path) -> Iterator[Finding]:
    for folder, variable in ((state, "DEVSTACK_HOME"), (cache, "DEVSTACK_CACHE")):
        kind, options = _mount_of(_nearest_existing(folder).resolve())
        remedy = f"set {variable} to a folder on a local disk"
        if kind in SHARED:
            cause = f"{folder} is on a file system of another machine ({kind}): locks may not work"
            yield Finding(cause, remedy, "DISK_UNSUITABLE", "warning")
        if folder is cache and "noexec" in options:
            cause = f"{folder} is mounted noexec, but programs that devstack builds run from there"
            yield Finding(cause, remedy, "DISK_UNSUITABLE")


def _mount_of(folder: Path) -> tuple[str, list[str]]:
    """Return the type and the options of the file system of a folder (proc_pid_mounts(5))."""
    best, result = -1, ("", [""])
    lines = MOUNTS.read_text().splitlines() if MOUNTS.exists() else []
    for fields in (line.split() for line in lines):
        point = fields[1].replace("\\040", " ")
        # Of two at the same point, the later one covers the earlier one.
        if folder.is_relative_to(point) and len(point) >= best:
            best, result = len(point), (fields[2], fields[3].split(","))
    return result


def _nearest_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _engine_disk(stack: Stack) -> list[Finding]:
    free, where = _free_of_engine(stack)
    need = DISK_OF_RUNNING_ENGINE if stack.is_up else DISK_OF_ENGINE
    if free >= need:
        return []
    cause = f"{free / GIB:.1f} GiB free in {where}; the stack needs {need / GIB:.0f}"
    remedy = "remove images and containers that you do not need: "
    remedy += f"{stack.spec.engine} system df shows them; "
    remedy += "or enlarge the disk of the engine's virtual machine"
    severity = "error" if free < DISK_OF_RUNNING_ENGINE / 4 else "warning"
    return [Finding(cause, remedy, "ENGINE_DISK_FULL", severity)]


def _free_of_engine(stack: Stack) -> tuple[int, str]:
    """Return the free bytes where the engine keeps containers and images, and its name."""
    provider = require_engine(stack)
    if stack.is_up:
        outputs = provider.run_on_nodes(stack.cluster, _FREE_ON_NODE, REQUEST_TIMEOUT)
        free = [int(text) for text in outputs.values() if text.strip().isdigit()]
        if free:
            return min(free), "the engine's disk, as nodes see it"
    described = provider.describe_engine()
    root = Path(str(described.info.get("DockerRootDir", "")))
    if not described.is_local or not root.is_dir():
        raise NotApplicableError("the engine's virtual machine shows it once the stack is up")
    return shutil.disk_usage(root).free, str(root)


STORAGE_CHECKS = (
    Check(
        "disk",
        "the disks of this machine have room and suit a stack's files",
        _disk,
        (
            Fault(
                "DISK_FULL",
                "Little space is left in DEVSTACK_HOME or DEVSTACK_CACHE.",
                "Free space, or set the variable to a folder on another disk.",
                BY_DEGREE,
            ),
            Fault(
                "DISK_UNSUITABLE",
                "The folder is on a network file system or a shared folder, or mounted noexec.",
                "Set DEVSTACK_HOME or DEVSTACK_CACHE to a folder on a local disk.",
                BY_DEGREE,
            ),
        ),
    ),
    Check(
        "engine-disk",
        "the engine's disk has room for nodes and images",
        _engine_disk,
        (
            Fault(
                "ENGINE_DISK_FULL",
                "Little space is left where the engine keeps images, nodes and volumes.",
                "`docker system df` shows what uses it; enlarge the virtual machine's disk.",
                BY_DEGREE,
            ),
        ),
    ),
)
