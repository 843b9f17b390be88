"""Checks of the machine: what the provider requires, tools, disk, memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from devstack import tools
from devstack.doctor.check import Check, Finding
from devstack.paths import cache_home, state_home
from devstack.providers.base import ChecksMachine, HasPools, Problem
from devstack.providers.ownership import foreign_cluster
from devstack.stack import Stack

GIB = 1024**3
DISK_TO_RUN = 2 * GIB
DISK_TO_BUILD = 15 * GIB
MEMORY = 4 * GIB
MEMORY_OF_NODE = 110 * 1024**2
"""Bytes that a further node takes at rest."""

MEMORY_FOR_TASKS = GIB
"""Bytes that tasks need beside a stack that is up: a few small ones."""


def _provider(stack: Stack) -> list[Finding]:
    return [_finding(problem) for problem in stack.provider.check(stack.cluster)]


def _requirements(stack: Stack) -> list[Finding]:
    provider = stack.provider
    if not isinstance(provider, ChecksMachine):
        return []
    return [_finding(problem) for problem in provider.check_machine(stack.cluster)]


def _finding(problem: Problem) -> Finding:
    return Finding(problem.message, problem.remedy, problem.code, problem.severity)


def _owner(stack: Stack) -> list[Finding]:
    provider = stack.provider
    if provider.check(stack.cluster):
        return []
    owner = provider.owner(stack.cluster)
    if owner is None or owner.matches(stack.dir.owner):
        return []
    error = foreign_cluster(stack.spec.name, f"the {provider.name} cluster of this name", owner)
    return [Finding(error.cause, error.remedy, error.code)]


def _tools(stack: Stack) -> list[Finding]:
    if tools.find_tool(tools.KUBECTL, stack.runner):
        return []
    cause = "kubectl is neither on PATH nor built yet"
    remedy = "devstack images build (`up` does it too)"
    return [Finding(cause, remedy, "KUBECTL_MISSING", "warning")]


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
    return found


def _nearest_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def memory_findings(stack: Stack) -> list[Finding]:
    """Return a warning if little of the machine's real memory is free.

    Nodes of pools offer what their settings say, not what the machine has.
    """
    if not stack.provider.owns_cluster:
        return []  # its nodes are other machines
    import psutil

    available = psutil.virtual_memory().available
    nodes = len(stack.cluster.pool_nodes) + stack.cluster.nodes - 1
    need = MEMORY_FOR_TASKS if stack.is_up else MEMORY + nodes * MEMORY_OF_NODE
    if available >= need:
        return []
    size = f"a stack of {nodes + 1} nodes needs" if nodes else "a stack needs"
    what = "tasks of the stack need" if stack.is_up else size
    cause = f"{available / GIB:.1f} GiB of memory really available; {what} {need / GIB:.1f}"
    if isinstance(stack.provider, HasPools):
        cause += ". What nodes offer is not limited by it: tasks that use more are OOMKilled"
    remedy = "stop other programs, run fewer tasks at once, or remove nodes from devstack.toml"
    return [Finding(cause, remedy, "MEMORY_LOW", "warning")]


def _certificates(stack: Stack) -> list[Finding]:
    bundle = os.environ.get("DEVSTACK_CA_BUNDLE")
    if not bundle or Path(bundle).is_file():
        return []
    return [
        Finding(
            f"DEVSTACK_CA_BUNDLE is {bundle}, which is not a file",
            "set it to a PEM file with your certificate authorities, or unset it",
            "CA_BUNDLE_MISSING",
        )
    ]


MACHINE_CHECKS = (
    Check("provider", "the provider can be used here", _provider),
    Check("requirements", "this machine meets the provider's requirements", _requirements),
    Check("owner", "no other user or state directory has a stack of this name", _owner),
    Check("tools", "kubectl is available", _tools),
    Check("disk", "there is enough free disk space", _disk),
    Check("memory", "there is enough free memory", memory_findings),
    Check("certificates", "the private CA bundle can be read", _certificates),
)
