"""The memory of a stack's pods.

It is the proportional set size of all processes of a pod: what several of them share counts once.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from tests.support.commandline import Devstack

_POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f_-]{27})")
_READ_MEMORY = "awk '/^Pss:/ {print FILENAME, $2}' /proc/[0-9]*/smaps_rollup 2>/dev/null"
_FIND = "grep -H kubepods /proc/[0-9]*/cgroup 2>/dev/null"
_MIB = 1024.0

IDLE_SECONDS = 30.0
"""How long nothing runs before idle memory is measured."""


def idle_memory(stack: Devstack, namespaces: Sequence[str]) -> dict[str, float]:
    """Return what :func:`pod_memory` does, after nothing has run for IDLE_SECONDS."""
    time.sleep(IDLE_SECONDS)
    return pod_memory(stack, namespaces)


def pod_memory(stack: Devstack, namespaces: Sequence[str]) -> dict[str, float]:
    """Return the MiB of each Deployment, by its name, and of each pod of a StatefulSet.

    Args:
        stack: the stack, which has one node.
        namespaces: those of the pods.
    """
    names = _names(stack, namespaces)
    node = f"devstack-{stack.name}-control-plane"
    pods = {}
    for line in _run(node, _FIND).splitlines():
        match = _POD.search(line)
        if match:
            pods[line.split("/")[2]] = names.get(match.group(1).replace("_", "-"), "")
    total: dict[str, float] = defaultdict(float)
    for line in _run(node, _READ_MEMORY).splitlines():
        path, kib = line.split()
        name = pods.get(path.split("/")[2])
        if name:
            total[name] += int(kib) / _MIB
    return total


def _run(node: str, script: str) -> str:
    argv = ["docker", "exec", node, "sh", "-c", script]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def _names(stack: Devstack, namespaces: Sequence[str]) -> dict[str, str]:
    """Return the name under which each pod counts, by the pod's uid."""
    found: dict[str, str] = {}
    for namespace in namespaces:
        argv = ("get", "pods", f"--namespace={namespace}", "-ojson")
        listing: list[dict[str, Any]] = json.loads(stack.admin_kubectl(*argv).stdout)["items"]
        for pod in listing:
            metadata = pod["metadata"]
            owners = metadata.get("ownerReferences", [{"kind": ""}])
            ending = 2 if owners[0]["kind"] == "ReplicaSet" else 0
            name = metadata["name"]
            found[metadata["uid"]] = name.rsplit("-", ending)[0] if ending else name
    return found
