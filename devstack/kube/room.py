"""How much room the nodes have, and what keeps a pod off each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from devstack.kube import quantity
from devstack.kube.client import KubeClient, Object
from devstack.kube.scheduling import requests_of

_PLACES = "pods"
"""A node's limit on the number of its pods, which every pod counts against."""


@dataclass
class NodeRoom:
    """A node and what is left of it.

    Attributes:
        node: the node, as the API has it.
        offers: what it offers to pods in all, by resource.
        free: what of that nobody has asked for.
        pods: the pods on it that have not ended.
    """

    node: Object
    offers: dict[str, Decimal]
    free: dict[str, Decimal]
    pods: list[Object] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The node's name."""
        return str(self.node["metadata"]["name"])

    def take(self, pod: Object) -> None:
        """Count what a pod asks for as taken."""
        for resource, amount in pod_requests(pod).items():
            self.free[resource] = self.free.get(resource, Decimal(0)) - amount


def measure_room(
    client: KubeClient, counts: Callable[[Object], bool] = lambda _pod: True
) -> list[NodeRoom]:
    """Return the room on every node.

    Args:
        client: reads the nodes, and all pods that have one.
        counts: tells which of the pods take room; all of them by default.
    """
    rooms = {node["metadata"]["name"]: _empty(node) for node in client.list_objects("v1", "Node")}
    running = "status.phase!=Succeeded,status.phase!=Failed,spec.nodeName!="
    for pod in client.list_objects("v1", "Pod", fields=running):
        room = rooms.get(pod["spec"].get("nodeName", ""))
        if room is not None and counts(pod):
            room.pods.append(pod)
            room.take(pod)
    return [rooms[name] for name in sorted(rooms)]


def place(pods: Sequence[Object], rooms: Iterable[NodeRoom]) -> int:
    """Put pods into the rooms, the large ones first; return how many fit."""
    left = [NodeRoom(room.node, room.offers, dict(room.free)) for room in rooms]
    placed = 0
    for pod in sorted(pods, key=lambda pod: -pod_requests(pod).get("cpu", Decimal(0))):
        fitting = next((room for room in left if not unfit_reason(pod, room)), None)
        if fitting is not None:
            fitting.take(pod)
            placed += 1
    return placed


def unfit_reason(pod: Object, room: NodeRoom) -> str:
    """Return what keeps the pod off the node, in a few words; nothing where it fits.

    What depends on other pods, such as affinity to them, is left out.
    """
    if refused := refusal(pod, room):
        return refused
    for resource, amount in sorted(pod_requests(pod).items()):
        if amount > room.free.get(resource, Decimal(0)):
            return f"has too little {resource}"
    return ""


def refusal(pod: Object, room: NodeRoom) -> str:
    """Return why the pod may not be on the node, however much room there is; or nothing."""
    spec = room.node.get("spec", {})
    if spec.get("unschedulable"):
        return "is cordoned"
    labels = room.node["metadata"].get("labels", {})
    for key, value in (pod["spec"].get("nodeSelector") or {}).items():
        if labels.get(key) != value:
            return f"has no label {key}={value}"
    for taint in spec.get("taints") or []:
        if not _tolerates(pod, taint):
            return f"has the taint {_written(taint)}"
    return ""


def pod_requests(pod: Object) -> dict[str, Decimal]:
    """Return what a pod takes of a node, its place among the node's pods included."""
    return {**requests_of(pod), _PLACES: Decimal(1)}


def _empty(node: Object) -> NodeRoom:
    allocatable = node.get("status", {}).get("allocatable", {})
    offers = {name: quantity.parse(text) or Decimal(0) for name, text in allocatable.items()}
    return NodeRoom(node, offers, dict(offers))


def _tolerates(pod: Object, taint: Object) -> bool:
    if taint["effect"] == "PreferNoSchedule":
        return True
    return any(_matches(each, taint) for each in pod["spec"].get("tolerations") or [])


def _matches(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    exists: bool = toleration.get("operator", "Equal") == "Exists"
    if not toleration.get("key"):
        return exists
    same_value: bool = exists or toleration.get("value", "") == taint.get("value", "")
    same_key: bool = toleration["key"] == taint["key"]
    return same_key and same_value


def _written(taint: Object) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"
