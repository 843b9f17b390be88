"""The check of inotify's limits, which all nodes share."""

from __future__ import annotations

from pathlib import Path

from devstack.doctor.check import Check, Fault, Finding, NotApplicableError
from devstack.doctor.engine import ask_nodes, require_engine
from devstack.providers.base import HasEngine
from devstack.stack import Stack

FOLDER = Path("/proc/sys/fs/inotify")
INSTANCES, WATCHES = "max_user_instances", "max_user_watches"
INSTANCES_OF_NODE = 128
"""How many a node uses; too few are kind's known issue "too many open files"."""

WATCHES_OF_NODE = 8192
"""How many a node uses; kind recommends 524288 for a machine."""

RECOMMENDED = {INSTANCES: 512, WATCHES: 524288}
_READ = f"cd {FOLDER} && grep -H . {INSTANCES} {WATCHES}"


def _inotify(stack: Stack) -> list[Finding]:
    limits = _read_limits(stack)
    nodes = stack.cluster.nodes + len(stack.cluster.pool_nodes)
    found = []
    for name, each in ((INSTANCES, INSTANCES_OF_NODE), (WATCHES, WATCHES_OF_NODE)):
        allowed, need = limits.get(name), each * nodes
        if allowed is not None and allowed < need:
            cause = f"fs.inotify.{name} is {allowed}, too few for {nodes} node(s)"
            value = max(RECOMMENDED[name], need)
            remedy = f"sysctl fs.inotify.{name}={value} (and a file in /etc/sysctl.d), on the "
            remedy += "machine or virtual machine of the engine"
            found.append(Finding(cause, remedy, "INOTIFY_LOW", "warning"))
    return found


def _read_limits(stack: Stack) -> dict[str, int]:
    """Return the limits by name: as nodes see them, or this machine's if it runs the engine."""
    provider = stack.provider
    if not provider.owns_cluster:
        raise NotApplicableError("the nodes are other machines")
    if isinstance(provider, HasEngine):
        engine = require_engine(stack)
        if stack.is_up:
            # All nodes have the same.
            answers, _ = ask_nodes(stack, _READ)
            return _parse(next(iter(answers.values())))
        if not engine.describe_engine().is_local:
            raise NotApplicableError("the engine's virtual machine shows it once the stack is up")
    files = [FOLDER / name for name in RECOMMENDED if (FOLDER / name).exists()]
    if not files:
        raise NotApplicableError("this machine has no inotify")
    return {file.name: int(file.read_text()) for file in files}


def _parse(text: str) -> dict[str, int]:
    lines = (line.partition(":") for line in text.splitlines())
    return {name: int(value) for name, _, value in lines}


INOTIFY_CHECKS = (
    Check(
        "inotify",
        "inotify's limits suffice for the nodes",
        _inotify,
        (
            Fault(
                "INOTIFY_LOW",
                'Pods end with "too many open files"; a known issue of kind.',
                "`sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288` "
                "where the engine runs.",
                "warning",
            ),
        ),
    ),
)
