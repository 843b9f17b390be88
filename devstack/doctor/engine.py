"""Checks of the container engine: its version, address, architecture, cgroups and size."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from typing import Any

from devstack.doctor.check import Check, Fault, Finding, NotApplicableError
from devstack.images.machine import ARCHITECTURES
from devstack.providers.base import HasEngine
from devstack.stack import Stack

Info = Mapping[str, Any]

GIB = 1024**3
OLDEST = (20, 10)
"""The first engine with cgroup v2, which kind supports."""

LEAST_MEMORY, LEAST_CPUS = 4 * GIB, 2

_LOCAL = ("unix://", "http+unix://", "npipe://", "http+docker://local")
"""Addresses of engines whose ports and folders are this machine's."""

_CONTROLLERS = {"CpuCfsQuota": "cpu", "MemoryLimit": "memory", "PidsLimit": "pids"}

_RESIZE = {
    "docker desktop": "Docker Desktop: Settings, Resources; then Apply & restart",
    "colima": "colima stop && colima start --cpu 4 --memory 8",
    "rancher": "Rancher Desktop: Preferences, Virtual Machine",
    "orbstack": "OrbStack: Settings, System",
}


def engine(stack: Stack) -> HasEngine:
    """Return the provider, if its nodes are containers."""
    if not isinstance(stack.provider, HasEngine):
        raise NotApplicableError("the nodes are no containers of an engine on this machine")
    return stack.provider


def is_this_machine(info: Info) -> bool:
    """Return True if the engine runs on this machine, not in a virtual machine of its own."""
    import psutil

    same_kernel = info.get("KernelVersion") == platform.release()
    total = psutil.virtual_memory().total
    return same_kernel and abs(total - int(info.get("MemTotal") or 0)) < total / 100


def product_of(info: Info) -> str:
    """Return the key of ``_RESIZE`` for the engine's product; empty if it is not known."""
    text = f"{info.get('OperatingSystem', '')} {info.get('Name', '')}".lower()
    return next((name for name in _RESIZE if name in text), "")


def _version(stack: Stack) -> list[Finding]:
    info = engine(stack).engine_info()
    return [*_old(info), *_unsuitable(info)]


def _old(info: Info) -> list[Finding]:
    version = str(info.get("ServerVersion", ""))
    found = re.match(r"(\d+)\.(\d+)", version)
    # Podman's versions have a scale of their own.
    if not found or "podman" in str(info.get("ProductLicense", "")).lower():
        return []
    if (int(found[1]), int(found[2])) >= OLDEST or int(found[1]) < 17:
        return []
    cause = f"the engine is Docker {version}, older than {OLDEST[0]}.{OLDEST[1]}"
    return [Finding(cause, "upgrade Docker Engine", "ENGINE_OLD")]


def _unsuitable(info: Info) -> list[Finding]:
    found = []
    if str(info.get("OSType", "linux")) != "linux":
        remedy = "switch Docker Desktop to Linux containers"
        cause = f"the engine runs containers of {info['OSType']}; nodes are Linux containers"
        found.append(Finding(cause, remedy, "ENGINE_UNSUITABLE"))
    if "name=userns" in (info.get("SecurityOptions") or []):
        cause = "the engine maps users (userns-remap), so privileged containers do not start"
        remedy = 'remove "userns-remap" from /etc/docker/daemon.json and restart Docker'
        found.append(Finding(cause, remedy, "ENGINE_UNSUITABLE"))
    return found


def _context(stack: Stack) -> list[Finding]:
    address = engine(stack).engine_address()
    if not address.startswith(_LOCAL) and not _is_loopback(address):
        cause = f"the engine is on another machine ({address}): ports and folders are not shared"
        remedy = "unset DOCKER_HOST, or choose a local engine: docker context use NAME"
        return [Finding(cause, remedy, "ENGINE_REMOTE")]
    hidden = os.environ.get("DOCKER_CONTEXT")
    if os.environ.get("DOCKER_HOST") and hidden:
        cause = f"DOCKER_HOST has precedence over DOCKER_CONTEXT={hidden}, which has no effect"
        return [Finding(cause, "unset one of them", "CONTEXT_HIDDEN", "warning")]
    return []


def _is_loopback(address: str) -> bool:
    return re.match(r"\w+://(localhost|127\.[\d.]+|\[::1\])(:|/|$)", address) is not None


def _platform(stack: Stack) -> list[Finding]:
    info = engine(stack).engine_info()
    of_engine = ARCHITECTURES.get(str(info.get("Architecture", "")).lower())
    own = ARCHITECTURES.get(platform.machine().lower())
    if not of_engine or not own or of_engine == own:
        return []
    cause = f"the engine is for {of_engine}, but this Python for {own}: nodes would be emulated"
    remedy = "use a Python and an engine of this machine's own architecture: " + (
        "install a native Python (not under Rosetta), or recreate the virtual machine "
        "(colima delete; colima start --arch host)"
    )
    return [Finding(cause, remedy, "ENGINE_EMULATED")]


def _cgroup(stack: Stack) -> list[Finding]:
    info = engine(stack).engine_info()
    version, driver = str(info.get("CgroupVersion") or "1"), info.get("CgroupDriver")
    rootless = any("rootless" in option for option in info.get("SecurityOptions") or [])
    if driver == "none" or (rootless and version == "1"):
        cause = "the rootless engine has no cgroups, so nodes cannot limit what pods use"
        remedy = "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1) and use systemd's driver"
        return [Finding(cause, remedy, "CGROUP_UNUSABLE")]
    missing = [name for key, name in _CONTROLLERS.items() if info.get(key) is False]
    if missing:
        cause = f"the engine lacks the cgroup controllers {', '.join(missing)}"
        remedy = "delegate them to users (systemd: Delegate=cpu cpuset io memory pids), then log in"
        return [Finding(cause, remedy, "CGROUP_UNUSABLE")]
    if version == "1" and _pulls_nodes(stack):
        cause = "the engine uses cgroup v1, on which pulled node images do not start"
        remedy = "boot with cgroup v2, or build the node image: devstack up --images build"
        return [Finding(cause, remedy, "CGROUP_V1", "warning")]
    return []


def _pulls_nodes(stack: Stack) -> bool:
    return stack.spec.images == "pull"


def _vm(stack: Stack) -> list[Finding]:
    info = engine(stack).engine_info()
    if is_this_machine(info):
        raise NotApplicableError("the engine has no virtual machine of its own")
    memory, cpus = int(info.get("MemTotal") or 0), int(info.get("NCPU") or 0)
    small = []
    if memory < LEAST_MEMORY * 0.95:
        small.append(f"{memory / GIB:.1f} GiB of memory, less than {LEAST_MEMORY // GIB}")
    if cpus < LEAST_CPUS:
        small.append(f"{cpus} CPU, fewer than {LEAST_CPUS}")
    if not small:
        return []
    cause = f"the engine's virtual machine has {' and '.join(small)}"
    remedy = _RESIZE.get(product_of(info), "give the virtual machine of the engine more")
    return [Finding(cause, remedy, "VM_SMALL", "warning")]


ENGINE_CHECKS = (
    Check(
        "engine",
        "the container engine is recent enough and suits nodes",
        _version,
        (
            Fault(
                "ENGINE_OLD",
                "The engine is older than Docker 20.10, the first that kind supports.",
                "Upgrade Docker Engine.",
            ),
            Fault(
                "ENGINE_UNSUITABLE",
                "It runs Windows containers, or maps users: nodes do not start.",
                "Switch to Linux containers; remove `userns-remap` from its daemon.json.",
            ),
        ),
    ),
    Check(
        "context",
        "the engine is on this machine",
        _context,
        (
            Fault(
                "ENGINE_REMOTE",
                "DOCKER_HOST or the current context names another machine, where the stack's "
                "ports and files are not.",
                "Unset DOCKER_HOST, or `docker context use` a local engine.",
            ),
            Fault(
                "CONTEXT_HIDDEN",
                "DOCKER_HOST and DOCKER_CONTEXT are both set; only the first counts.",
                "Unset one of them.",
                "warning",
            ),
        ),
    ),
    Check(
        "platform",
        "the engine has this machine's architecture",
        _platform,
        (
            Fault(
                "ENGINE_EMULATED",
                "This Python and the engine are for different processors: images would be built "
                "for the wrong one.",
                "Install a native Python (no Rosetta), or recreate the engine's virtual machine.",
            ),
        ),
    ),
    Check(
        "cgroup",
        "the engine's cgroups can limit pods",
        _cgroup,
        (
            Fault(
                "CGROUP_UNUSABLE",
                "A rootless engine without cgroup v2, or without delegated controllers.",
                "Boot with cgroup v2; delegate cpu, cpuset, io, memory and pids to users.",
            ),
            Fault(
                "CGROUP_V1",
                "Upstream's node images do not start on cgroup v1.",
                "Boot with cgroup v2, or `devstack up --images build`.",
                "warning",
            ),
        ),
    ),
    Check(
        "vm",
        "the engine's virtual machine is large enough",
        _vm,
        (
            Fault(
                "VM_SMALL",
                "The virtual machine of Docker Desktop, Colima or Rancher Desktop has less than "
                "4 GiB or 2 CPUs.",
                "Enlarge it in the product's settings.",
                "warning",
            ),
        ),
    ),
)
