"""Checks of the container engine: its kind, address, architecture, cgroups and size."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from devstack.doctor.check import REQUEST_TIMEOUT, Check, Fault, Finding, NotApplicableError
from devstack.images.machine import ARCHITECTURES
from devstack.pools.instance_types import GIB
from devstack.providers.base import HasEngine, NeedsNodeImage, Problem
from devstack.stack import Stack

LEAST_MEMORY, LEAST_CPUS = 4 * GIB, 2

SUITABILITY = ("ENGINE_IS_PODMAN", "ENGINE_OLD", "ENGINE_UNSUITABLE", "ENGINE_FOLDER")
ADDRESS = ("ENGINE_REMOTE",)
CGROUPS = ("CGROUP_UNUSABLE",)
OF_ENGINE = frozenset((*SUITABILITY, *ADDRESS, *CGROUPS))
"""The codes of problems of a provider that checks in this file report."""

_RESIZE = {
    "Docker Desktop": "Docker Desktop: Settings, Resources; then Apply & restart",
    "Colima": "colima stop && colima start --cpu 4 --memory 8",
    "Rancher Desktop": "Rancher Desktop: Preferences, Virtual Machine",
    "OrbStack": "OrbStack: Settings, System",
    "Podman": "podman machine stop; podman machine set --cpus 4 --memory 8192",
}


def find_engine(stack: Stack) -> HasEngine | None:
    """Return the provider if its nodes are containers of an engine on this machine."""
    provider = stack.provider
    if not isinstance(provider, HasEngine) or provider.engine_address_problem():
        return None
    return provider


def require_engine(stack: Stack) -> HasEngine:
    """Return the provider if its nodes are containers of an engine on this machine.

    Raises:
        NotApplicableError: they are not.
    """
    provider = stack.provider
    if not isinstance(provider, HasEngine):
        raise NotApplicableError("the nodes are not containers of an engine")
    if provider.engine_address_problem():
        raise NotApplicableError("the engine is on another machine")
    return provider


def is_podman(stack: Stack) -> bool:
    """Return True if the stack uses Podman, which reads other settings than Docker."""
    return stack.spec.engine == "podman"


def ask_nodes(stack: Stack, script: str) -> tuple[dict[str, str], list[str]]:
    """Run a script by bash on each running node.

    Returns:
        The outputs by the node's name, and the names of nodes that did not run it in time.

    Raises:
        NotApplicableError: no node ran it.
    """
    outputs = require_engine(stack).run_on_nodes(stack.cluster, script, REQUEST_TIMEOUT)
    answers = {node: output for node, output in outputs.items() if output is not None}
    silent = sorted(outputs.keys() - answers.keys())
    if not answers:
        require_all(silent)
        raise NotApplicableError("no node runs")
    return answers, silent


def require_all(silent: Sequence[str]) -> None:
    """Raise if there are nodes about which a check that found nothing says nothing.

    Args:
        silent: the nodes that did not run its script.
    """
    if silent:
        raise NotApplicableError(f"{', '.join(silent)} did not run the check's program in time")


def to_finding(problem: Problem) -> Finding:
    """Return the finding for a problem of a provider."""
    return Finding(problem.message, problem.remedy, problem.code, problem.severity)


def _problems(stack: Stack, codes: Collection[str]) -> list[Finding]:
    problems = stack.provider.check(stack.cluster)
    return [to_finding(each) for each in problems if each.code in codes]


def _suitability(stack: Stack) -> list[Finding]:
    require_engine(stack).describe_engine()  # one that does not answer is not examined
    return _problems(stack, SUITABILITY)


def _context(stack: Stack) -> list[Finding]:
    provider = stack.provider
    if not isinstance(provider, HasEngine):
        raise NotApplicableError("the nodes are not containers of an engine")
    if problem := provider.engine_address_problem():
        return [to_finding(problem)]
    hidden = os.environ.get("DOCKER_CONTEXT")
    if not is_podman(stack) and os.environ.get("DOCKER_HOST") and hidden:
        cause = f"DOCKER_HOST has precedence over DOCKER_CONTEXT={hidden}, which has no effect"
        return [Finding(cause, "unset one of them", "CONTEXT_HIDDEN", "warning")]
    return []


def _platform(stack: Stack) -> list[Finding]:
    info = require_engine(stack).describe_engine().info
    of_engine = ARCHITECTURES.get(str(info.get("Architecture", "")).lower())
    own = ARCHITECTURES.get(platform.machine().lower())
    if not of_engine or not own:
        raise NotApplicableError("the architecture of the engine or of this Python is not known")
    if of_engine == own:
        return []
    cause = f"the engine is for {of_engine}, but this Python for {own}: nodes would be emulated"
    remedy = "use a Python and an engine of this machine's own architecture: install a native "
    remedy += "Python (not under Rosetta), or recreate the engine's virtual machine "
    remedy += "(colima delete; colima start --arch host)"
    return [Finding(cause, remedy, "ENGINE_EMULATED")]


def _cgroup(stack: Stack) -> list[Finding]:
    described = require_engine(stack).describe_engine()
    if found := _problems(stack, CGROUPS):
        return found
    if missing := described.missing_controllers:
        cause = f"the engine's kernel lacks the cgroup controllers {', '.join(missing)}"
        remedy = "enable them at boot: on a Raspberry Pi append cgroup_enable=memory to "
        remedy += "/boot/firmware/cmdline.txt; elsewhere use cgroup v2"
        return [Finding(cause, remedy, "CGROUP_UNUSABLE")]
    if described.cgroup_v1 and _pulls_nodes(stack):
        cause = "the engine uses cgroup v1, on which published node images do not boot, and "
        cause += "images are only to be pulled"
        remedy = "boot with cgroup v2, or let the node image be built: devstack up --images auto"
        return [Finding(cause, remedy, "CGROUP_V1", "warning")]
    return []


def _pulls_nodes(stack: Stack) -> bool:
    """Return True if the node image is there only as a pulled one, or absent, and none is built."""
    provider = stack.provider
    if not isinstance(provider, NeedsNodeImage) or stack.spec.images != "pull":
        return False
    (row,) = stack.images.rows([provider.node_image(stack.cluster)])
    return row.source != "built"


def _vm(stack: Stack) -> list[Finding]:
    described = require_engine(stack).describe_engine()
    if described.is_local:
        raise NotApplicableError("the engine has no virtual machine of its own")
    info: Mapping[str, Any] = described.info
    memory, cpus = int(info.get("MemTotal") or LEAST_MEMORY), int(info.get("NCPU") or LEAST_CPUS)
    small = []
    # What the kernel keeps for itself is not counted.
    if memory < LEAST_MEMORY * 0.9:
        small.append(f"{memory / GIB:.1f} GiB of memory, less than {LEAST_MEMORY // GIB}")
    if cpus < LEAST_CPUS:
        small.append(f"{cpus} CPU, fewer than {LEAST_CPUS}")
    if not small:
        return []
    cause = f"the engine's virtual machine has {' and '.join(small)}"
    remedy = _RESIZE.get(described.product, "give the virtual machine of the engine more")
    return [Finding(cause, remedy, "VM_SMALL", "warning")]


ENGINE_CHECKS = (
    Check(
        "engine",
        "the container engine is recent enough and suits nodes",
        _suitability,
        (
            Fault(
                "ENGINE_OLD",
                "The engine is older than Docker 20.10 or Podman 4.0.",
                "Update it.",
            ),
            Fault(
                "ENGINE_UNSUITABLE",
                "It runs Windows containers; nodes are Linux containers.",
                "`Switch to Linux containers` in Docker Desktop.",
            ),
            Fault(
                "ENGINE_IS_PODMAN",
                "Docker's socket belongs to Podman, whose emulation kind cannot use.",
                "`devstack up --engine podman`.",
            ),
            Fault(
                "ENGINE_FOLDER",
                "Docker is a snap, which cannot mount hidden folders.",
                "Set DEVSTACK_HOME to a folder that is not hidden.",
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
                "Boot with cgroup v2; let systemd delegate the controllers to users.",
            ),
            Fault(
                "CGROUP_UNUSABLE",
                "The kernel has a controller switched off, as on a Raspberry Pi that of memory.",
                "Append `cgroup_enable=memory` to the kernel's command line.",
            ),
            Fault(
                "CGROUP_V1",
                "Published node images do not boot on cgroup v1, and none may be built "
                "(`--images pull`).",
                "Boot with cgroup v2, or `devstack up --images auto`, which builds it.",
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
