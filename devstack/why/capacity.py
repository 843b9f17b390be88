"""Whether pods fit, node by node, and which workloads hold the resources that they lack."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from devstack.kube.capacity import (
    NodeCapacity,
    fit,
    measure_capacity,
    node_requests,
    unfit_reason,
)
from devstack.kube.client import KubeClient, Object
from devstack.kube.gangs import JOB_NAME, JOBSET_NAME
from devstack.kube.node_selection import node_mismatch
from devstack.kube.offers import Offers, closest_shortfall, measure_offers
from devstack.kube.pod_requests import Amounts, format_amount, pod_requests
from devstack.kube.pool_lines import lines_for_gang
from devstack.kube.scheduling import build_remedy
from devstack.why.answer import NodeAnswer
from devstack.why.awaited import Awaited, find_awaited

_NOT_SHOWN = ("ephemeral-storage", "pods")
"""Every pod requests some; to report that explains nothing."""

SHOWN = 3
"""The number of nodes, and of holders, that a sentence names."""


@dataclass(frozen=True)
class CapacityReport:
    """How a set of pods fits the cluster.

    Attributes:
        needs: what the pods request: "4 pods x 0.2 cpu, 128 MiB memory".
        count: the number of pods.
        fit: how many of them fit now.
        fit_alone: how many would fit without the pods of other Jobs, and with the nodes that
            pools add.
        awaited: which nodes they wait for, if those that are ready are not enough.
        real: the machine's real size as a clause; empty if unknown.
        remedy: what to do if they would not fit alone.
        nodes: the nodes one by one.
        holders: the workloads that hold what the pods lack, the largest first.
    """

    needs: str
    count: int
    fit: int
    fit_alone: int
    nodes: Sequence[NodeAnswer]
    holders: Sequence[str]
    awaited: Awaited | None = None
    real: str = ""
    remedy: str = ""

    @property
    def all_fit(self) -> bool:
        """True if all of them fit now."""
        return self.fit >= self.count

    @property
    def all_fit_alone(self) -> bool:
        """True if all of them would fit without other Jobs."""
        return self.fit_alone >= self.count

    def sentence(self) -> str:
        """Return the free resources of the first nodes as text."""
        texts = [_node_text(node) for node in self.nodes[:SHOWN]]
        rest = len(self.nodes) - SHOWN
        text = "; ".join(texts) + (f"; and {rest} more nodes" if rest > 0 else "")
        return f"{text} (of what it offers; {self.real})" if self.real else text


def report_capacity(client: KubeClient, pods: Sequence[Object]) -> CapacityReport:
    """Return how pods without a node fit the cluster."""
    nodes = measure_capacity(client)
    offers = measure_offers(client)
    # Without the right to read nodes, the line above has failed already.
    assert offers is not None
    alone = fit(pods, offers.nodes)
    return CapacityReport(
        needs=describe_needs(pods),
        count=len(pods),
        fit=fit(pods, nodes),
        fit_alone=alone,
        nodes=[_node_answer(pods, node) for node in nodes],
        holders=_holders(pods, nodes),
        awaited=find_awaited(pods, offers),
        real=offers.shape.real,
        remedy="" if alone == len(pods) else suggest_remedy(pods, offers),
    )


def suggest_remedy(pods: Sequence[Object], offers: Offers) -> str:
    """Return what to do about pods that do not fit even without other Jobs."""
    closest = closest_shortfall(pods[0], offers.nodes)
    lacks = closest if closest and not closest.nothing else None
    return build_remedy(lacks, lines_for_gang(pods, offers), offers)


def list_holders(client: KubeClient, pods: Sequence[Object]) -> list[str]:
    """Return the workloads that hold what pods lack, the largest first.

    Only nodes on which the pods may run count.
    """
    return _holders(pods, measure_capacity(client))


def describe_needs(pods: Sequence[Object]) -> str:
    """Return what pods request, those with equal requests together."""
    texts = Counter(_describe(pod_requests(pod)) for pod in pods)
    return " + ".join(
        f"{count} pod{'' if count == 1 else 's'}" + (f" x {text}" if text else "")
        for text, count in sorted(texts.items())
    )


def _describe(amounts: Amounts) -> str:
    shown = {name: amount for name, amount in amounts.items() if name not in _NOT_SHOWN}
    return ", ".join(
        f"{format_amount(name, amount)} {name}" for name, amount in sorted(shown.items())
    )


def _node_answer(pods: Sequence[Object], node: NodeCapacity) -> NodeAnswer:
    fitting = fit(pods, [node])
    requested = {name for pod in pods for name in pod_requests(pod)}
    free = {name: max(Decimal(0), node.free.get(name, Decimal(0))) for name in requested}
    left = node.copy()
    for pod in pods[:fitting]:
        left.reserve(pod)
    reason = "" if fitting >= len(pods) else unfit_reason(pods[-1], left)
    return NodeAnswer(node.name, _describe(free), fitting, reason)


def _node_text(node: NodeAnswer) -> str:
    free = f"has {node.free} free" if node.free else ""
    more = " for more" if node.fits and node.unfit_reason else ""
    found = " and ".join(part for part in (free, node.unfit_reason) if part)
    return f"node {node.name} {found or 'has room'}{more}"


def _holders(pods: Sequence[Object], nodes: Sequence[NodeCapacity]) -> list[str]:
    allowed = [node for node in nodes if not node_mismatch(pods[0], node.node)]
    resource = _lacking(pods, allowed)
    held: dict[str, Decimal] = defaultdict(Decimal)
    counts: Counter[str] = Counter()
    for pod in (pod for node in allowed for pod in node.pods):
        amount = node_requests(pod).get(resource, Decimal(0))
        if amount > 0:
            held[_holder(pod)] += amount
            counts[_holder(pod)] += 1
    return [
        f"{name} ({format_amount(resource, held[name])} {resource}, {counts[name]} pod"
        f"{'' if counts[name] == 1 else 's'})"
        for name in sorted(held, key=lambda name: (-held[name], name))
    ]


def _lacking(pods: Sequence[Object], nodes: Sequence[NodeCapacity]) -> str:
    """Return a resource of which the pods request more than is free; cpu if there is none."""
    requested: dict[str, Decimal] = defaultdict(Decimal)
    for pod in pods:
        for name, amount in node_requests(pod).items():
            requested[name] += amount
    return min((name for name in requested if requested[name] > _free(name, nodes)), default="cpu")


def _free(name: str, nodes: Sequence[NodeCapacity]) -> Decimal:
    return sum((max(Decimal(0), node.free.get(name, Decimal(0))) for node in nodes), Decimal(0))


def _holder(pod: Object) -> str:
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    for label, kind in ((JOBSET_NAME, "JobSet"), (JOB_NAME, "Job")):
        if label in labels:
            return f"{kind} {metadata['namespace']}/{labels[label]}"
    return f"pod {metadata['namespace']}/{metadata['name']}"
