"""The pools of nodes that exist: nodes of the same size, labels and taints are one pool."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from devstack import quantity
from devstack.pools.mistakes import LIMITS
from devstack.pools.naming import make_pool_name
from devstack.pools.nodes import (
    DEVICES,
    INSTANCE_TYPE_LABEL,
    POOL_LABEL,
    REGION_LABEL,
    SPOT_LABELS,
    ZONE_LABEL,
    region_of,
)
from devstack.pools.settings import (
    BASE_POOL,
    CPUS_MAX,
    DEVICES_MAX,
    POOLS_MAX,
    SPOT_LABEL,
    SPOT_TAINT,
    PoolSettings,
)
from devstack.pools.taints import format_taint, is_taint_of_state

_CONTROL_PLANES = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")

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

_SPOT = {
    **SPOT_LABELS,
    "cloud.google.com/gke-spot": "true",
    "cloud.google.com/gke-preemptible": "true",
    "kubernetes.azure.com/scalesetpriority": "spot",
}
"""Labels of the vendors' spot nodes; only some vendors also give them a taint."""


@dataclass
class ObservedPools:
    """The pools of a cluster.

    Attributes:
        pools: the tables for devstack.toml; their ``count`` is that of the cluster's nodes.
        notes: what a table cannot say as the cluster has it, one sentence each.
    """

    pools: list[PoolSettings] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def observe_pools(
    nodes: Sequence[Mapping[str, Any]],
    at_most: int,
    architecture: str,
    taken: Iterable[str] = (),
) -> ObservedPools:
    """Return the pools of nodes.

    Args:
        nodes: the nodes, as the API has them.
        at_most: the most nodes of one pool.
        architecture: this machine's, as Kubernetes calls it.
        taken: names that the pools may not have.
    """
    found = ObservedPools()
    used = [node for node in nodes if not _is_reserved(node)]
    linux = [node for node in used if _label(node, "kubernetes.io/os") in ("", "linux")]
    if len(linux) < len(used):
        found.notes.append(f"nodes without Linux are left out: {len(used) - len(linux)}")
    architectures = {_label(node, "kubernetes.io/arch") for node in linux} - {"", architecture}
    if architectures:
        listed = ", ".join(sorted(architectures))
        found.notes.append(f"nodes of {listed} become nodes of this machine's architecture")
    groups: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for node in _without_own_labels(linux, found.notes):
        groups[_key(node)].append(node)
    names = {*taken, BASE_POOL}
    for members in list(groups.values())[:POOLS_MAX]:
        pool = _pool(members, min(len(members), at_most), names, found.notes)
        names.add(pool["name"])
        found.pools.append(pool)
    if (more := len(groups) - POOLS_MAX) > 0:
        found.notes.append(
            f"{more} further groups of equal nodes are left out: a stack has {POOLS_MAX} pools at"
            " most"
        )
    return found


def _without_own_labels(
    nodes: Sequence[Mapping[str, Any]], notes: list[str]
) -> list[Mapping[str, Any]]:
    """Return the nodes without the labels that have another value on each of equal nodes."""
    groups: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for node in nodes:
        labels = node["metadata"].get("labels") or {}
        groups[_key(node, {key: labels.get(key) for key in _NAME_LABELS})].append(node)
    own = {key for members in groups.values() for key in _differing(members)}
    if own:
        notes.append(
            f"labels with another value on each node are left out: {', '.join(sorted(own))}"
        )
    return [_without_labels(node, own) for node in nodes]


def _differing(nodes: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the labels of which no two of several nodes have the same value."""
    named = any(_label(nodes[0], key) for key in _NAME_LABELS)
    # Two nodes that no group contains may be two teams'.
    least = 2 if named else 3
    values: dict[str, list[str]] = defaultdict(list)
    for node in nodes:
        for key, value in _kept_labels(node).items():
            values[key].append(value)
    return {
        key
        for key, found in values.items()
        if key not in _NAME_LABELS and len(set(found)) == len(found) >= least
    }


def _without_labels(node: Mapping[str, Any], own: set[str]) -> Mapping[str, Any]:
    labels = node["metadata"].get("labels") or {}
    kept = {key: value for key, value in labels.items() if key not in own}
    return {**node, "metadata": {**node["metadata"], "labels": kept}}


def _label(node: Mapping[str, Any], key: str) -> str:
    return str((node["metadata"].get("labels") or {}).get(key, ""))


def _is_reserved(node: Mapping[str, Any]) -> bool:
    """Return True for a node that takes no tasks: of a control plane that is tainted."""
    taints = node.get("spec", {}).get("taints") or []
    return any(taint["key"] in _CONTROL_PLANES for taint in taints)


def _key(node: Mapping[str, Any], kept: Mapping[str, Any] | None = None) -> Any:
    """Return what equal nodes have in common; with ``kept`` instead of their labels if given."""
    labels = node["metadata"].get("labels") or {}
    return (
        labels.get(INSTANCE_TYPE_LABEL, ""),
        _cpus(node),
        # Nodes of one type differ by a few pages.
        round(_memory(node) / 2**28),
        tuple(sorted(_devices(node).items())),
        tuple((_kept_labels(node) if kept is None else kept).items()),
        tuple(_taints(node)),
        any(label in labels for label in _CONTROL_PLANES),
    )


def _pool(
    nodes: Sequence[Mapping[str, Any]], count: int, names: set[str], notes: list[str]
) -> PoolSettings:
    node = min(nodes, key=_memory)
    labels = node["metadata"].get("labels") or {}
    pool = PoolSettings(name=_name(labels, names), count=count)
    if kind := labels.get(INSTANCE_TYPE_LABEL):
        pool["instance_type"] = kind
    zones = sorted({_label(each, ZONE_LABEL) for each in nodes} - {""})
    if zones:
        pool["zones"] = tuple(zones)
    _add_size(pool, node, notes)
    devices = _devices(node)
    _add_devices(pool, dict(devices), notes)
    kept = _kept_labels(node)
    if zones and labels.get(REGION_LABEL, region_of(zones[0])) != region_of(zones[0]):
        kept[REGION_LABEL] = labels[REGION_LABEL]
    if kept:
        pool["labels"] = kept
    taints = _taints(node)
    for taint in [each for each in taints if each.partition("=")[0].partition(":")[0] in devices]:
        # The admission plug-in ExtendedResourceToleration, which GKE has and a stack has not.
        notes.append(f"pool {pool['name']!r}: the taint {taint} is left out; pods that request it"
                     " tolerate it there by themselves")  # fmt: skip
        taints.remove(taint)
    if SPOT_TAINT in taints:
        pool["spot"] = True
        taints.remove(SPOT_TAINT)
    elif any(labels.get(key) == value for key, value in _SPOT.items()):
        # `spot = true` would add a taint that those nodes do not have.
        pool["labels"] = {**pool.get("labels", {}), SPOT_LABEL: "spot"}
    if taints:
        pool["taints"] = tuple(dict.fromkeys(taints))
    return pool


def _add_size(pool: PoolSettings, node: Mapping[str, Any], notes: list[str]) -> None:
    cpus = max(1, min(CPUS_MAX, _cpus(node)))
    if _cpus(node) > CPUS_MAX:
        notes.append(
            f"pool {pool['name']!r}: cpu is {CPUS_MAX}, the most, instead of {_cpus(node)}"
        )
    pool["cpu"] = cpus
    for name, resource, unit, suffix in (
        ("memory", "memory", 2**20, "Mi"),
        ("disk", "ephemeral-storage", 2**30, "Gi"),
    ):
        amount = int(_amount(node, resource))
        if not amount and name == "disk":
            continue
        least, most = LIMITS[name]
        limited = max(least, min(most, amount))
        if limited != amount:
            notes.append(
                f"pool {pool['name']!r}: {name} is {limited // unit}{suffix}, the"
                f" {'most' if amount > most else 'least'}, instead of {amount // unit}{suffix}"
            )
        value = f"{limited // unit}{suffix}"
        if name == "memory":
            pool["memory"] = value
        else:
            pool["disk"] = value


def _name(labels: Mapping[str, str], names: set[str]) -> str:
    groups = (labels.get(key) for key in _NAME_LABELS)
    # The name of the nodes that every stack has.
    of_group = next((group for group in groups if group and group != BASE_POOL), "")
    return make_pool_name(of_group or labels.get(INSTANCE_TYPE_LABEL, "") or "nodes", names)


def _add_devices(pool: PoolSettings, devices: dict[str, int], notes: list[str]) -> None:
    vendors = {resource: vendor for vendor, resource in DEVICES.items()}
    for name, count in list(devices.items()):
        if count > DEVICES_MAX:
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
        format_taint(taint)
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
