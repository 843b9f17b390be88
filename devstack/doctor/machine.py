"""Checks of the machine: Docker, tools, room."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from devstack import tools
from devstack.docker.capabilities import withholds_sys_resource, wrapper_is_default
from devstack.doctor.check import Check, Finding
from devstack.paths import cache_home, state_home
from devstack.progress import Silent
from devstack.providers.kind.provider import KindProvider
from devstack.stack import Stack

GIB = 1024**3
ROOM_TO_RUN = 2 * GIB
ROOM_TO_BUILD = 15 * GIB
MEMORY = 4 * GIB
INOTIFY_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_INSTANCES = 128
"""What one kind node uses up; kind's known issue "too many open files"."""


def _provider(stack: Stack) -> list[Finding]:
    return [
        Finding(problem.message, problem.remedy, problem.code)
        for problem in stack.provider.check(stack.cluster)
    ]


def _tools(stack: Stack) -> list[Finding]:
    found = []
    if _on_kind(stack) and tools.find_kind(stack.runner, Silent(), build=False) is None:
        found.append(_missing("the kind CLI", "KIND_MISSING"))
    if tools.find_kubectl(stack.runner, Silent(), build=False) is None:
        found.append(_missing("kubectl", "KUBECTL_MISSING"))
    return found


def _missing(tool: str, code: str) -> Finding:
    cause = f"{tool} is neither on PATH nor built yet"
    return Finding(cause, "devstack images build (`up` does it too)", code, "warning")


def _on_kind(stack: Stack) -> bool:
    return stack.provider.name == KindProvider.name


def _room(stack: Stack) -> list[Finding]:
    found = []
    for folder, need, use in (
        (state_home(), ROOM_TO_RUN, "the stack's files"),
        (cache_home(), ROOM_TO_BUILD, "building images"),
    ):
        there = _nearest_existing(folder)
        free = shutil.disk_usage(there).free
        if free < need:
            found.append(
                Finding(
                    f"{free / GIB:.1f} GiB free below {there}, {use} want {need / GIB:.0f}",
                    "free some room, or set DEVSTACK_HOME or DEVSTACK_CACHE to another disk",
                    "DISK_FULL",
                    "error" if free < ROOM_TO_RUN / 4 else "warning",
                )
            )
    return found


def _nearest_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _memory(stack: Stack) -> list[Finding]:
    import psutil

    available = psutil.virtual_memory().available
    if available >= MEMORY or stack.is_up:
        return []
    cause = f"{available / GIB:.1f} GiB of memory available, a stack wants {MEMORY / GIB:.0f}"
    return [Finding(cause, "end some programs", "MEMORY_LOW", "warning")]


def _capability(stack: Stack) -> list[Finding]:
    if not _on_kind(stack) or not withholds_sys_resource():
        return []
    if stack.provider.check(stack.cluster) or wrapper_is_default(stack.runner):
        # Without Docker there is nobody to ask, and the first check has said so.
        return []
    return [
        Finding(
            "this host withholds CAP_SYS_RESOURCE, so no privileged container can start",
            "./scripts/prepare-docker sets Docker up to do without it",
            "CAP_SYS_RESOURCE",
        )
    ]


def _certificates(stack: Stack) -> list[Finding]:
    bundle = os.environ.get("DEVSTACK_CA_BUNDLE")
    if not bundle or Path(bundle).is_file():
        return []
    return [
        Finding(
            f"DEVSTACK_CA_BUNDLE names {bundle}, which is no file",
            "point it at a PEM file with your certificate authorities, or unset it",
            "CA_BUNDLE_MISSING",
        )
    ]


def _inotify(stack: Stack) -> list[Finding]:
    if not INOTIFY_LIMIT.exists():
        return []
    allowed, need = int(INOTIFY_LIMIT.read_text()), INOTIFY_INSTANCES * stack.cluster.nodes
    if allowed >= need:
        return []
    return [
        Finding(
            f"fs.inotify.max_user_instances is {allowed}, too few for "
            f"{stack.cluster.nodes} node(s)",
            f"sysctl fs.inotify.max_user_instances={max(512, need)}",
            "INOTIFY_LOW",
            "warning",
        )
    ]


MACHINE_CHECKS = (
    Check("provider", "the provider can be used here", _provider),
    Check("tools", "kind and kubectl are at hand", _tools),
    Check("capability", "privileged containers can start", _capability),
    Check("room", "the disk has room", _room),
    Check("memory", "there is memory for a stack", _memory),
    Check("certificates", "the private CA bundle can be read", _certificates),
    Check("inotify", "the kernel lets enough files be watched", _inotify),
)
