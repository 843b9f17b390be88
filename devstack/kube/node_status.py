"""The nodes of a cluster, what each offers, and what runs there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from devstack import quantity
from devstack.kube.capacity import NodeCapacity, measure_capacity
from devstack.kube.client import KubeClient, Object
from devstack.kube.conditions import is_ready
from devstack.kube.offers import ends_by_itself, pool_of
from devstack.kube.shape import Shape, read_shape
from devstack.pools.nodes import INSTANCE_TYPE_LABEL, ZONE_LABEL
from devstack.pools.taints import format_taint, is_taint_of_state

READY, NOT_READY, CORDONED = "Ready", "NotReady", "Ready,cordoned"

_BASIC = ("cpu", "memory", "ephemeral-storage", "pods")


@dataclass(frozen=True)
class Size:
    """What a node offers.

    Attributes:
        cpu: number of CPUs.
        memory: bytes.
        disk: bytes of ephemeral storage.
        devices: GPUs and other extended resources, by name.
    """

    cpu: float
    memory: int
    disk: int
    devices: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class NodeStatus:
    """A node.

    Attributes:
        name: its name.
        pool: its pool; empty if it is of none.
        state: "Ready", "NotReady" or "Ready,cordoned".
        instance_type: its instance type; empty if it has none.
        zone: its zone; empty if it has none.
        taints: its taints, as ``key=value:Effect``.
        offers: what it offers.
        free_cpu: the CPUs that no pod requests.
        free_memory: the bytes that no pod requests.
        pods: the number of its pods that have not ended.
        tasks: the names of those that end by themselves.
    """

    name: str
    pool: str
    state: str
    instance_type: str
    zone: str
    taints: Sequence[str]
    offers: Size
    free_cpu: float
    free_memory: int
    pods: int
    tasks: Sequence[str]


@dataclass(frozen=True)
class PoolStatus:
    """A pool: nodes that offer the same. Nodes of no pool are one for each size.

    Attributes:
        name: its name; empty for nodes of no pool.
        nodes: the number of its nodes.
        addable: the number of nodes that it may add when pods need them.
        instance_type: the instance type of its nodes; empty if they have none.
        zones: the zones of its nodes.
        taints: the taints of its nodes, but for those of their present state.
        offers: what each node offers.
    """

    name: str
    nodes: int
    addable: int
    instance_type: str
    zones: Sequence[str]
    taints: Sequence[str]
    offers: Size


@dataclass(frozen=True)
class Layout:
    """The nodes, the pools, and the machine behind them."""

    nodes: Sequence[NodeStatus]
    pools: Sequence[PoolStatus]
    shape: Shape


def read_layout(client: KubeClient) -> Layout:
    """Return the nodes and pools of a cluster."""
    shape = read_shape(client)
    nodes = [describe_node(each) for each in measure_capacity(client)]
    known = {node.name for node in nodes}
    addable = [
        describe_node(NodeCapacity(item, {}))
        for name, item in sorted(shape.addable.items())
        if name not in known
    ]
    groups = dict.fromkeys(map(_pool_key, [*nodes, *addable]))
    pools = [
        _pool(
            key[0],
            [node for node in nodes if _pool_key(node) == key],
            [node for node in addable if _pool_key(node) == key],
        )
        for key in groups
    ]
    return Layout(nodes, pools, shape)


def _pool_key(node: NodeStatus) -> tuple[str, ...]:
    if node.pool:
        return (node.pool,)
    offers = node.offers
    # Nodes of one type differ by a few pages.
    memory = round(offers.memory / 2**28)
    return ("", node.instance_type, f"{offers.cpu:g} {memory} {sorted(offers.devices.items())}")


def describe_node(capacity: NodeCapacity) -> NodeStatus:
    """Return the description of a node and its pods."""
    node = capacity.node
    labels = node["metadata"].get("labels") or {}
    jobs = [pod["metadata"]["name"] for pod in capacity.pods if ends_by_itself(pod)]
    return NodeStatus(
        name=capacity.name,
        pool=pool_of(node),
        state=state_of(node),
        instance_type=labels.get(INSTANCE_TYPE_LABEL, ""),
        zone=labels.get(ZONE_LABEL, ""),
        taints=[format_taint(taint) for taint in node.get("spec", {}).get("taints") or []],
        offers=_size(node),
        free_cpu=float(capacity.free.get("cpu", Decimal(0))),
        free_memory=int(capacity.free.get("memory", Decimal(0))),
        pods=len(capacity.pods),
        tasks=sorted(jobs),
    )


def state_of(node: Object) -> str:
    """Return whether a node is ready, and whether it is cordoned."""
    if not is_ready(node):
        return NOT_READY
    return CORDONED if node.get("spec", {}).get("unschedulable") else READY


def _size(node: Object) -> Size:
    offered = node.get("status", {}).get("allocatable", {})
    amounts = {name: quantity.parse(text) or Decimal(0) for name, text in offered.items()}
    return Size(
        cpu=float(amounts.get("cpu", 0)),
        memory=int(amounts.get("memory", 0)),
        disk=int(amounts.get("ephemeral-storage", 0)),
        devices={
            name: int(amount) for name, amount in sorted(amounts.items())
            if name not in _BASIC and amount > 0
        },
    )  # fmt: skip


def _pool(name: str, nodes: Sequence[NodeStatus], addable: Sequence[NodeStatus]) -> PoolStatus:
    every = [*nodes, *addable]
    return PoolStatus(
        name=name,
        nodes=len(nodes),
        addable=len(addable),
        instance_type=every[0].instance_type,
        zones=_distinct(node.zone for node in every),
        taints=[text for text in every[0].taints if not is_taint_of_state(_key(text))],
        offers=every[0].offers,
    )


def _distinct(texts: Iterable[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]


def _key(taint: str) -> str:
    return taint.rpartition(":")[0].partition("=")[0]
