"""The nodes of pools: what each offers, and its labels and taints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from devstack import quantity
from devstack.pools.instance_types import (
    AMD,
    GIB,
    INSTANCE_TYPES,
    NEURON,
    NVIDIA,
    TPU,
    InstanceType,
)
from devstack.pools.settings import BASE_POOL, SPOT_LABEL, SPOT_TAINT, PoolSettings

POOL_LABEL = "devstack.dev/pool"
INSTANCE_TYPE_LABEL = "node.kubernetes.io/instance-type"
ZONE_LABEL = "topology.kubernetes.io/zone"
REGION_LABEL = "topology.kubernetes.io/region"
SPOT_LABELS = {
    SPOT_LABEL: "spot",
    "eks.amazonaws.com/capacityType": "SPOT",
    "karpenter.sh/capacity-type": "spot",
}

DEVICES = {"nvidia": NVIDIA, "amd": AMD, "neuron": NEURON, "tpu": TPU}
"""The extended resource of each vendor's accelerators."""

_DEFAULT = InstanceType(cpu=4, memory=16 * GIB)
"""The size of a node whose pool names neither a size nor an instance type."""

_BASE_DEFAULT = InstanceType(cpu=64, memory=256 * GIB, device=NVIDIA, devices=8)
"""The size of the nodes that every cluster has: large enough for the examples of Metaflow's
documentation."""

_DISK = 1024 * GIB
"""Bytes of disk of a node whose pool names none."""


@dataclass(frozen=True)
class NodeSpec:
    """One node of a pool.

    Attributes:
        pool: the pool's name.
        cpu: the CPUs that it offers.
        memory: the bytes of memory that it offers.
        disk: the bytes of disk that it offers, for the containers' files.
        extended: extended resources, such as GPUs, by name.
        labels: its labels.
        taints: its taints, as ``key=value:Effect``.
    """

    pool: str
    cpu: int
    memory: int
    disk: int = _DISK
    extended: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()


def pool_nodes(pools: Iterable[PoolSettings]) -> list[NodeSpec]:
    """Return the nodes of all pools but that of the base nodes, in order."""
    return [
        _node(pool, index, _DEFAULT)
        for pool in pools
        if pool["name"] != BASE_POOL
        for index in range(pool.get("count", 1))
    ]


def base_node(pools: Iterable[PoolSettings] = ()) -> NodeSpec:
    """Return what each node offers that a cluster has without pools.

    The pool of the name ``control-plane`` changes it.
    """
    named = [pool for pool in pools if pool["name"] == BASE_POOL]
    return _node(named[0] if named else PoolSettings(name=BASE_POOL), 0, _BASE_DEFAULT)


def _node(pool: PoolSettings, index: int, default: InstanceType) -> NodeSpec:
    kind = INSTANCE_TYPES.get(pool.get("instance_type", ""), default)
    memory = quantity.parse(pool["memory"]) if "memory" in pool else None
    disk = quantity.parse(pool["disk"]) if "disk" in pool else None
    return NodeSpec(
        pool=pool["name"],
        cpu=pool.get("cpu", kind.cpu),
        memory=int(memory or kind.memory),
        disk=int(disk or _DISK),
        extended=_extended(pool, kind),
        labels=_labels(pool, index),
        taints=(*pool.get("taints", ()), *((SPOT_TAINT,) if pool.get("spot") else ())),
    )


def _extended(pool: PoolSettings, kind: InstanceType) -> dict[str, int]:
    devices = {kind.device: kind.devices} if kind.device else {}
    if "gpu" in pool:
        gpu = pool["gpu"]
        devices = {DEVICES[gpu.get("vendor", "nvidia")]: gpu.get("count", 1)}
    return {**devices, **pool.get("extended", {})}


def _labels(pool: PoolSettings, index: int) -> dict[str, str]:
    labels = {POOL_LABEL: pool["name"]}
    if "instance_type" in pool:
        labels[INSTANCE_TYPE_LABEL] = pool["instance_type"]
    if zones := pool.get("zones", ()):
        zone = zones[index % len(zones)]
        labels |= {ZONE_LABEL: zone, REGION_LABEL: region_of(zone)}
    if pool.get("spot"):
        labels |= SPOT_LABELS
    return {**labels, **pool.get("labels", {})}


def region_of(zone: str) -> str:
    """Return a zone's region: ``us-east-1`` for ``us-east-1a``, ``us-east1`` for ``us-east1-b``."""
    return zone[:-1].removesuffix("-") if zone[-1:].isalpha() and zone[:-1] else zone
