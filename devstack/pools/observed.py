"""The pools of nodes that exist: nodes of the same size, labels and taints are one pool."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from devstack import quantity
from devstack.pools.nodes import (
    DEVICES,
    INSTANCE_TYPE_LABEL,
    POOL_LABEL,
    REGION_LABEL,
    SPOT_TAINT,
    ZONE_LABEL,
    region_of,
)
from devstack.pools.settings import BASE_POOL, POOLS_MAX, PoolSettings
from devstack.pools.taints import is_taint_of_state

_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"

_NAME_LABELS = (
    POOL_LABEL,
    "eks.amazonaws.com/nodegroup",
    "alpha.eksctl.io/nodegroup-name",
    "karpenter.sh/nodepool",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
    "agentpool",
)
"""Labels by which the vendors' clusters name the group of a node."""

_DROPPED_LABELS = re.compile(
    r"^(kubernetes\.io/(hostname|os|arch)|beta\.kubernetes\.io/|failure-domain\.beta\."
    r"|node-role\.kubernetes\.io/|node\.kubernetes\.io/exclude-from|topology\."
    r"|csi\.|devstack\.dev/|karpenter\.k8s\.aws/instance-|karpenter\.sh/(registered|initialized)"
    r"|alpha\.eksctl\.io/instance-id|k8s\.io/cloud-provider|node\.kubernetes\.io/instance-type)"
)
"""Labels that each node has for itself, or that a local node has of its own."""

_NOT_DEVICES = ("kubernetes.io/", "attachable-volumes-", "hugepages-")
_DEVICES_MAX = 1024
_NOT_A_NAME = re.compile(r"[^a-z0-9]+")


@dataclass
class ObservedPools:
    """The pools of a cluster.

    Attributes:
        pools: the tables for devstack.toml.
        notes: what a table cannot say as the cluster has it, one sentence each.
    """

    pools: list[PoolSettings] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def observe_pools(
    nodes: Sequence[Mapping[str, Any]], at_most: int, taken: Iterable[str] = ()
) -> ObservedPools:
    """Return the pools of nodes.

    Args:
        nodes: the nodes, as the API has them.
        at_most: the most nodes of one pool.
        taken: names that the pools may not have.
    """
    groups: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for node in nodes:
        if not _is_reserved(node):
            groups[_key(node)].append(node)
    found = ObservedPools()
    names = {*taken, BASE_POOL}
    for members in list(groups.values())[:POOLS_MAX]:
        pool = _pool(members, min(len(members), at_most), names, found.notes)
        names.add(pool["name"])
        found.pools.append(pool)
    if len(groups) > POOLS_MAX:
        found.notes.append(f"{len(groups) - POOLS_MAX} more kinds of nodes are left out")
    return found


def _is_reserved(node: Mapping[str, Any]) -> bool:
    """Return True for a node that takes no tasks: of a control plane that is tainted."""
    taints = node.get("spec", {}).get("taints") or []
    return any(taint["key"] == _CONTROL_PLANE for taint in taints)


def _key(node: Mapping[str, Any]) -> Any:
    labels = node["metadata"].get("labels") or {}
    return (
        labels.get(INSTANCE_TYPE_LABEL, ""),
        _cpus(node),
        # Nodes of one type differ by a few pages.
        round(_memory(node) / 2**28),
        tuple(sorted(_devices(node).items())),
        tuple(sorted(_kept_labels(node).items())),
        tuple(_taints(node)),
        any(label in labels for label in (_CONTROL_PLANE,)),
    )


def _pool(
    nodes: Sequence[Mapping[str, Any]], count: int, names: set[str], notes: list[str]
) -> PoolSettings:
    node = min(nodes, key=_memory)
    labels = node["metadata"].get("labels") or {}
    pool = PoolSettings(name=_name(labels, names), count=count)
    if kind := labels.get(INSTANCE_TYPE_LABEL):
        pool["instance_type"] = kind
    zones = sorted(
        {each["metadata"].get("labels", {}).get(ZONE_LABEL, "") for each in nodes} - {""}
    )
    if zones:
        pool["zones"] = tuple(zones)
    pool["cpu"] = max(1, _cpus(node))
    pool["memory"] = f"{max(1, _memory(node) // 2**20)}Mi"
    if disk := int(_amount(node, "ephemeral-storage")) // 2**30:
        pool["disk"] = f"{disk}Gi"
    _add_devices(pool, _devices(node), notes)
    kept = _kept_labels(node)
    if zones and labels.get(REGION_LABEL, region_of(zones[0])) != region_of(zones[0]):
        kept[REGION_LABEL] = labels[REGION_LABEL]
    if kept:
        pool["labels"] = kept
    taints = _taints(node)
    if SPOT_TAINT in taints:
        pool["spot"] = True
        taints.remove(SPOT_TAINT)
    if taints:
        pool["taints"] = tuple(taints)
    return pool


def _name(labels: Mapping[str, str], names: set[str]) -> str:
    groups = (labels.get(key) for key in _NAME_LABELS)
    # The name of the nodes that every stack has.
    of_group = next((group for group in groups if group and group != BASE_POOL), "")
    text = of_group or labels.get(INSTANCE_TYPE_LABEL, "") or "nodes"
    base = _NOT_A_NAME.sub("-", text.lower()).strip("-")[:26].strip("-") or "nodes"
    numbers = ("", *(f"-{number}" for number in range(2, 100)))
    return next(base + number for number in numbers if base + number not in names)


def _add_devices(pool: PoolSettings, devices: dict[str, int], notes: list[str]) -> None:
    vendors = {resource: vendor for vendor, resource in DEVICES.items()}
    for name, count in list(devices.items()):
        if count > _DEVICES_MAX:
            notes.append(f"pool {pool['name']!r}: {name} is left out; it has {count} of them")
            del devices[name]
    gpus = [name for name in devices if name in vendors]
    if gpus:
        vendor: Any = vendors[gpus[0]]
        pool["gpu"] = {"vendor": vendor, "count": devices.pop(gpus[0])}
    elif pool.get("instance_type"):
        # Otherwise the instance type's own devices, which this cluster does not offer.
        pool["gpu"] = {"vendor": "nvidia", "count": 0}
    if devices:
        pool["extended"] = devices


def _devices(node: Mapping[str, Any]) -> dict[str, int]:
    offered = node.get("status", {}).get("allocatable", {})
    return {
        name: int(quantity.parse(text) or 0)
        for name, text in offered.items()
        if "/" in name and not name.startswith(_NOT_DEVICES) and (quantity.parse(text) or 0) > 0
    }


def _kept_labels(node: Mapping[str, Any]) -> dict[str, str]:
    labels: Mapping[str, str] = node["metadata"].get("labels") or {}
    name = node["metadata"]["name"]
    return {
        key: value
        for key, value in sorted(labels.items())
        if not _DROPPED_LABELS.search(key) and value != name
    }


def _taints(node: Mapping[str, Any]) -> list[str]:
    return [
        f"{taint['key']}{'=' + taint['value'] if taint.get('value') else ''}:{taint['effect']}"
        for taint in node.get("spec", {}).get("taints") or []
        if not is_taint_of_state(taint["key"])
    ]


def _cpus(node: Mapping[str, Any]) -> int:
    capacity = node.get("status", {}).get("capacity") or node["status"].get("allocatable", {})
    return int(quantity.parse(capacity.get("cpu", "0")) or Decimal(0))


def _memory(node: Mapping[str, Any]) -> int:
    return int(_amount(node, "memory"))


def _amount(node: Mapping[str, Any], name: str) -> Decimal:
    offered = node.get("status", {}).get("allocatable", {})
    return quantity.parse(offered.get(name, "0")) or Decimal(0)
