"""Which stack a kind cluster belongs to.

Three things name the owner: the claim (`devstack.providers.claim`), the labels of the
network, and a file of the stack's directory that each node mounts, since kind sets no
labels of ours on containers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from devstack.docker.client import DockerClient
from devstack.owner import Owner
from devstack.providers.claim import Claim
from devstack.providers.kind.scheduler import scheduler_mount

FILE = "owner.json"
"""The owner's name in the stack's directory."""

NODE_PATH = "/etc/devstack/owner.json"
"""Where each node has that file."""

_MOUNTS = (NODE_PATH, scheduler_mount(Path())["containerPath"])
"""Files mounted from the stack's directory; earlier releases had the scheduler's only."""


def owner_mount(file: Path) -> dict[str, Any]:
    """Return kind's mount of the owner's file into a node."""
    return {"hostPath": str(file), "containerPath": NODE_PATH, "readOnly": True}


def owner_of_cluster(engine: DockerClient, cluster: str) -> Owner | None:
    """Return the owner of a kind cluster or of what is left of it; None if there is nothing."""
    nodes = engine.nodes(cluster)
    if nodes:
        return owner_of_nodes(engine, cluster, nodes)
    if holder := Claim(engine, cluster).holder():
        return holder
    labelled = (network_labels(network) for network in engine.networks(cluster))
    return next((Owner.from_labels(labels) for labels in labelled if labels), None)


def owner_of_nodes(engine: DockerClient, cluster: str, nodes: Sequence[Any]) -> Owner:
    """Return the owner of a cluster's node containers, by what they mount."""
    files = [file for node in nodes if (file := _mounted_file(node))]
    owner = Owner.from_file(files[0]) if files else Owner("")
    if not owner.user:
        # The directory was removed by hand, so its user is unknown.
        holder = Claim(engine, cluster).holder()
        return holder if holder and holder.matches(owner) else owner
    return owner


def network_labels(network: Any) -> dict[str, str]:
    """Return a network's labels; empty for one that kind created itself."""
    return dict(network.attrs.get("Labels") or {})


def _mounted_file(node: Any) -> str:
    """Return the file of the stack's directory that a node mounts; empty if there is none."""
    for bind in node.attrs["HostConfig"].get("Binds") or []:
        for target in _MOUNTS:
            source, found, _ = bind.partition(f":{target}")
            if found:
                return str(source)
    return ""
