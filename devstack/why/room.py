"""Whether there is room for pods, node by node, and who holds it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from devstack.kube.client import KubeClient, Object
from devstack.kube.gangs import JOBSET_NAME
from devstack.kube.room import NodeRoom, measure_room, place, pod_requests, refusal, unfit_reason
from devstack.kube.scheduling import requests_of, written
from devstack.why.answer import NodeAnswer

_JOB_NAME = "batch.kubernetes.io/job-name"
_UNSPOKEN = ("ephemeral-storage", "pods")
MOST = 3
"""How many nodes, and how many holders, a sentence names."""


@dataclass(frozen=True)
class RoomView:
    """What a set of pods finds.

    Attributes:
        needs: what they ask for: "4 pods x 0.2 cpu, 128 MiB memory".
        wanted: how many pods there are.
        fit: how many of them fit now.
        fit_alone: how many would fit if every Job's pods were gone.
        nodes: the nodes, one by one.
        holders: who holds what they lack, the largest first.
    """

    needs: str
    wanted: int
    fit: int
    fit_alone: int
    nodes: Sequence[NodeAnswer]
    holders: Sequence[str]

    @property
    def enough(self) -> bool:
        """True where all of them fit."""
        return self.fit >= self.wanted

    @property
    def ever_enough(self) -> bool:
        """True where all of them would fit into the cluster if no other work were there."""
        return self.fit_alone >= self.wanted

    def sentence(self) -> str:
        """Return the room by node, for a person."""
        told = [_node_text(node) for node in self.nodes[:MOST]]
        rest = len(self.nodes) - MOST
        return "; ".join(told) + (f"; and {rest} more nodes" if rest > 0 else "")


def look_for_room(client: KubeClient, pods: Sequence[Object]) -> RoomView:
    """Return what the pods find; none of them has a node."""
    rooms = measure_room(client)
    alone = measure_room(client, lambda pod: not _of_job(pod))
    allowed = [room for room in rooms if not refusal(pods[0], room)]
    lacking = _lacking(pods, allowed)
    return RoomView(
        needs=describe_needs(pods),
        wanted=len(pods),
        fit=place(pods, rooms),
        fit_alone=place(pods, alone),
        nodes=[_node(pods, room) for room in rooms],
        holders=_holders(allowed, lacking),
    )


def describe_needs(pods: Sequence[Object]) -> str:
    """Return what pods ask for, those that ask for the same together."""
    texts = Counter(_describe(requests_of(pod)) for pod in pods)
    return " + ".join(
        f"{count} pod{'' if count == 1 else 's'}" + (f" x {text}" if text else "")
        for text, count in sorted(texts.items())
    )


def _describe(amounts: dict[str, Decimal]) -> str:
    spoken = {name: amount for name, amount in amounts.items() if name not in _UNSPOKEN}
    return ", ".join(f"{written(name, amount)} {name}" for name, amount in sorted(spoken.items()))


def _node(pods: Sequence[Object], room: NodeRoom) -> NodeAnswer:
    fits = place(pods, [room])
    asked = {name for pod in pods for name in requests_of(pod) if name not in _UNSPOKEN}
    free = {name: max(Decimal(0), room.free.get(name, Decimal(0))) for name in asked}
    left = NodeRoom(room.node, room.offers, dict(room.free))
    for pod in pods[:fits]:
        left.take(pod)
    why = "" if fits >= len(pods) else unfit_reason(pods[-1], left)
    return NodeAnswer(room.name, _describe(free), fits, why)


def _node_text(node: NodeAnswer) -> str:
    why = f" and {node.unfit_reason} for more" if node.fits and node.unfit_reason else ""
    if not node.fits and node.unfit_reason:
        why = f" and {node.unfit_reason}"
    return f"node {node.name} has {node.free or 'nothing to count'} free{why}"


def _lacking(pods: Sequence[Object], rooms: Sequence[NodeRoom]) -> str:
    """Return the resource that is short, cpu where none is."""
    asked: dict[str, Decimal] = defaultdict(Decimal)
    for pod in pods:
        for name, amount in pod_requests(pod).items():
            asked[name] += amount
    short = [name for name in asked if asked[name] > _free(name, rooms)]
    return min(short, default="cpu")


def _free(name: str, rooms: Sequence[NodeRoom]) -> Decimal:
    return sum((max(Decimal(0), room.free.get(name, Decimal(0))) for room in rooms), Decimal(0))


def _holders(rooms: Sequence[NodeRoom], resource: str) -> list[str]:
    held: dict[str, Decimal] = defaultdict(Decimal)
    counts: Counter[str] = Counter()
    for pod in (pod for room in rooms for pod in room.pods):
        amount = pod_requests(pod).get(resource, Decimal(0))
        if amount > 0:
            held[_holder(pod)] += amount
            counts[_holder(pod)] += 1
    largest = sorted(held, key=lambda name: (-held[name], name))
    return [
        f"{name} ({written(resource, held[name])} {resource}, {counts[name]} pod"
        f"{'' if counts[name] == 1 else 's'})"
        for name in largest
    ]


def _holder(pod: Object) -> str:
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    for label, kind in ((JOBSET_NAME, "JobSet"), (_JOB_NAME, "Job")):
        if label in labels:
            return f"{kind} {metadata['namespace']}/{labels[label]}"
    return f"pod {metadata['namespace']}/{metadata['name']}"


def _of_job(pod: Object) -> bool:
    return _JOB_NAME in (pod["metadata"].get("labels") or {})
