"""Checks of disks: space, and file systems that cannot hold a stack's files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from devstack.doctor.check import BY_DEGREE, Check, Fault, Finding, NotApplicableError
from devstack.doctor.engine import ask_nodes, require_all, require_engine
from devstack.doctor.obtaining import may_compile
from devstack.paths import cache_home, state_home
from devstack.pools.instance_types import GIB
from devstack.stack import Stack

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
    found = list(_full(state_home(), DISK_TO_RUN, "a stack's files need"))
    if short := list(_full(cache_home(), DISK_TO_BUILD, "building images needs")):
        few = _full(cache_home(), DISK_TO_RUN, "programs and packages need")
        found += short if may_compile(stack) else few
    return [*found, *_unsuitable(state_home(), cache_home())]


def _full(folder: Path, need: int, use: str) -> Iterator[Finding]:
    free = shutil.disk_usage(_nearest_existing(folder)).free
    if free < need:
        yield Finding(
            f"{free / GIB:.1f} GiB free in {folder}; {use} {need / GIB:.0f}",
            "free disk space, or set DEVSTACK_HOME or DEVSTACK_CACHE to another disk",
            "DISK_FULL",
            "error" if free < DISK_TO_RUN / 4 else "warning",
        )


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
    if stack.is_up:
        answers, silent = ask_nodes(stack, _FREE_ON_NODE)
        free, where = min(map(int, answers.values())), "the engine's disk, as nodes see it"
        found = _short(stack, free, where, DISK_OF_RUNNING_ENGINE)
        if not found:
            require_all(silent)
        return found
    described = require_engine(stack).describe_engine()
    root = Path(str(described.info.get("DockerRootDir", "")))
    if not described.is_local or not root.is_dir():
        raise NotApplicableError("the engine's virtual machine shows it once the stack is up")
    return _short(stack, shutil.disk_usage(root).free, str(root), DISK_OF_ENGINE)


def _short(stack: Stack, free: int, where: str, need: int) -> list[Finding]:
    if free >= need:
        return []
    cause = f"{free / GIB:.1f} GiB free in {where}; the stack needs {need / GIB:.0f}"
    remedy = "remove images and containers that you do not need: "
    remedy += f"{stack.spec.engine} system df shows them; "
    remedy += "or enlarge the disk of the engine's virtual machine"
    severity = "error" if free < DISK_OF_RUNNING_ENGINE / 4 else "warning"
    return [Finding(cause, remedy, "ENGINE_DISK_FULL", severity)]


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
