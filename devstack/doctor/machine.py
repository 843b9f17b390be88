"""Checks of the machine: what the provider requires, programs, memory."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from devstack import tools
from devstack.doctor.check import (
    REQUEST_TIMEOUT,
    Check,
    Fault,
    Finding,
    NotApplicableError,
)
from devstack.doctor.engine import OF_ENGINE, ask_nodes, require_all, require_engine, to_finding
from devstack.errors import DevstackError
from devstack.pools.instance_types import GIB
from devstack.providers.base import ChecksMachine, HasEngine, HasPools
from devstack.providers.ownership import foreign_cluster
from devstack.stack import Stack

MEMORY = 4 * GIB
MEMORY_OF_NODE = 110 * 1024**2
"""Bytes that a further node takes at rest."""

_FREE_MEMORY = """\
for file in /run/devstack-proc/meminfo /proc/meminfo; do
  if [ -r "$file" ]; then awk '/^MemAvailable:/ {print $2}' "$file"; exit; fi
done
"""
"""The node's own /proc/meminfo may be the size that it offers; see `limit-pods`."""

METAFLOWS = ("metaflow", "ob-metaflow")
"""Distributions that install a package `metaflow`."""

MEMORY_FOR_TASKS = GIB
"""Bytes that tasks need beside a stack that is up: a few small ones."""


def _provider(stack: Stack) -> list[Finding]:
    """Return why the provider cannot be used; the checks of the engine report the rest."""
    problems = stack.provider.check(stack.cluster)
    return [to_finding(each) for each in problems if each.code not in OF_ENGINE]


def _requirements(stack: Stack) -> list[Finding]:
    provider = stack.provider
    if not isinstance(provider, ChecksMachine):
        raise NotApplicableError(f"provider {provider.name} has none")
    _require_usable(stack)
    return [to_finding(problem) for problem in provider.check_machine(stack.cluster)]


def _require_usable(stack: Stack) -> None:
    if stack.provider.check(stack.cluster):
        raise NotApplicableError(f"provider {stack.provider.name} cannot be used")


def _owner(stack: Stack) -> list[Finding]:
    _require_usable(stack)
    provider = stack.provider
    owner = provider.owner(stack.cluster)
    if owner is None or owner.matches(stack.dir.owner):
        return []
    error = foreign_cluster(stack.spec.name, f"the {provider.name} cluster of this name", owner)
    return [Finding(error.cause, error.remedy, error.code)]


def _tools(stack: Stack) -> list[Finding]:
    wanted = stack.spec.kubernetes
    kubectl = tools.find_kubectl(stack.runner, wanted)
    if kubectl:
        return [*_kubectl_skew(stack, kubectl), *_metaflow()]
    if not stack.spec.offline:
        return _metaflow()  # the first command that needs it compiles it
    cause = "kubectl is neither on PATH nor built yet, and nothing may be fetched"
    remedy = f"devstack images load FILE with a bundle, or install kubectl {wanted}"
    return [Finding(cause, remedy, "KUBECTL_MISSING", "warning"), *_metaflow()]


def _kubectl_skew(stack: Stack, kubectl: Path) -> list[Finding]:
    """Return a finding if kubectl is more than one minor version off (version skew policy)."""
    if not stack.is_up:
        return []
    own = tools.kubectl_version(stack.runner, str(kubectl))
    found = re.match(r"v(\d+)\.(\d+)", stack.kube(REQUEST_TIMEOUT).version())
    if own is None or found is None or tools.fits(own, (int(found[1]), int(found[2]))):
        return []
    cause = f"{kubectl} is version {own[0]}.{own[1]}, the cluster {found[1]}.{found[2]}: "
    cause += "they may differ by one minor version"
    remedy = f"install kubectl {found[1]}.{found[2]} so that it is on PATH"
    return [Finding(cause, remedy, "KUBECTL_SKEW", "warning")]


def _metaflow() -> list[Finding]:
    """Return a finding if two distributions have installed the package `metaflow`."""
    installed = [name for name in METAFLOWS if _version_of(name)]
    if len(installed) < 2:
        return []
    cause = f"{' and '.join(installed)} are installed in {sys.prefix} over each other: both are "
    cause += "the package metaflow"
    remedy = f"pip uninstall {' '.join(installed)}, then pip install the one that you want"
    return [Finding(cause, remedy, "METAFLOW_TWICE", "warning")]


def _version_of(distribution: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def memory_findings(stack: Stack) -> list[Finding]:
    """Return a warning if little of the real memory is free where the nodes run.

    Nodes of pools offer what their settings say, not what the machine has.

    Raises:
        NotApplicableError: it cannot be known.
    """
    if not stack.provider.owns_cluster:
        raise NotApplicableError("the nodes are other machines")
    provider = stack.provider
    if not isinstance(provider, HasEngine) or require_engine(stack).describe_engine().is_local:
        return _short_of_memory(stack, _free_here())
    if not stack.is_up:
        raise NotApplicableError("the engine's virtual machine shows it once the stack is up")
    answers, silent = ask_nodes(stack, _FREE_MEMORY)
    found = _short_of_memory(stack, min(int(text) * 1024 for text in answers.values()))
    if not found:
        require_all(silent)
    return found


def memory_warnings(stack: Stack) -> list[Finding]:
    """Return what `up` warns of: as above, but the engine is asked only if it might matter."""
    if not stack.provider.owns_cluster or not _short_of_memory(stack, _free_here()):
        return []
    try:
        return memory_findings(stack)
    except (NotApplicableError, DevstackError):
        return []


def _free_here() -> int:
    import psutil

    return int(psutil.virtual_memory().available)


def _short_of_memory(stack: Stack, available: int) -> list[Finding]:
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
    if not bundle:
        raise NotApplicableError("DEVSTACK_CA_BUNDLE is not set")
    if Path(bundle).is_file():
        return []
    return [
        Finding(
            f"DEVSTACK_CA_BUNDLE is {bundle}, which is not a file",
            "set it to a PEM file with your certificate authorities, or unset it",
            "CA_BUNDLE_MISSING",
        )
    ]


MACHINE_CHECKS = (
    Check(
        "provider",
        "the provider can be used here",
        _provider,
        (
            Fault("DOCKER_MISSING", "The docker command is not installed.", "Install Docker."),
            Fault(
                "DOCKER_STOPPED",
                "Docker does not answer at the address that DOCKER_HOST or the context names.",
                "Start it, or unset DOCKER_HOST, or `docker context use` another one.",
            ),
            Fault(
                "DOCKER_CLIENT",
                "Docker's client and engine have no version of the API in common.",
                "Update the older one.",
            ),
            Fault(
                "PODMAN_MISSING", "Podman, which is to be used, is not installed.", "Install it."
            ),
            Fault(
                "PODMAN_STOPPED",
                "Podman does not answer.",
                "`podman info` shows why; on macOS and Windows `podman machine start`.",
            ),
            Fault(
                "DOCKER_FORBIDDEN",
                "The engine refuses this user.",
                "Join the group `docker` and log in again, or use a rootless engine.",
            ),
            Fault(
                "DOCKER_CONTEXT_UNKNOWN",
                "The current context does not exist.",
                "`docker context use` one that does.",
            ),
            Fault(
                "KIND_MISSING",
                "The kind CLI is not there, and nothing may be fetched.",
                "`devstack images load FILE`, or omit `--offline`.",
            ),
        ),
        is_vital=True,
    ),
    Check(
        "requirements",
        "this machine meets the provider's requirements",
        _requirements,
        (
            Fault(
                "CAP_SYS_RESOURCE",
                "This host withholds a capability without which privileged containers fail.",
                "The script `prepare-docker` configures Docker to work without it.",
            ),
        ),
    ),
    Check(
        "owner",
        "no other user or state directory has a stack of this name",
        _owner,
        (
            Fault(
                "CLUSTER_FOREIGN",
                "A cluster of this name belongs to another user or DEVSTACK_HOME.",
                "Choose another `--name`.",
            ),
        ),
    ),
    Check(
        "tools",
        "kubectl and Metaflow are there once and fit",
        _tools,
        (
            Fault(
                "KUBECTL_MISSING",
                "kubectl is neither on PATH nor built yet, and nothing may be fetched.",
                "`devstack images load FILE`, or install kubectl.",
                "warning",
            ),
            Fault(
                "KUBECTL_SKEW",
                "kubectl differs from the cluster by more than one minor version.",
                "Install one of the cluster's version so that it is on PATH.",
                "warning",
            ),
            Fault(
                "METAFLOW_TWICE",
                "Two distributions have installed the package `metaflow` over each other.",
                "Uninstall both, then install one.",
                "warning",
            ),
        ),
    ),
    Check(
        "memory",
        "there is enough free memory",
        memory_findings,
        (
            Fault(
                "MEMORY_LOW",
                "Little real memory is free; tasks that use more than there is are OOMKilled.",
                "Stop other programs, run fewer tasks at once, or remove nodes.",
                "warning",
            ),
        ),
    ),
    Check(
        "certificates",
        "the private CA bundle can be read",
        _certificates,
        (
            Fault(
                "CA_BUNDLE_MISSING",
                "DEVSTACK_CA_BUNDLE names no file.",
                "Name a PEM file with your authorities, or unset it.",
            ),
        ),
    ),
)
