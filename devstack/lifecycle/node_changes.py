"""Which nodes cannot become what they are to be without losing their pods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from devstack.errors import DevstackError, ExitStatus
from devstack.kube.capacity import measure_capacity
from devstack.kube.client import KubeClient, Object
from devstack.kube.pod_requests import format_amount, pod_requests
from devstack.pools.nodes import NodeSpec
from devstack.pools.settings import BASE_POOL

_Amounts = tuple[Decimal, Decimal]
"""CPUs and bytes."""


def nodes_to_replace(
    kube: KubeClient,
    existing: Mapping[str, NodeSpec | None],
    wanted: Mapping[str, NodeSpec],
) -> list[str]:
    """Return the nodes of pools that have to be drained and created again.

    A disk in use keeps its size, and a kubelet that is restarted with less than its pods request
    ends some of them.

    Raises:
        DevstackError: ``NODE_TOO_SMALL`` for a base node, which runs the stack's services.
    """
    other_disk = [
        name
        for name, before in existing.items()
        if before and name in wanted and before.disk != wanted[name].disk
    ]
    full = _full_nodes(kube, existing, wanted)
    for name, used in full.items():
        if wanted[name].pool == BASE_POOL:
            raise _too_small(name, used)
    return list(dict.fromkeys([*other_disk, *full]))


def _full_nodes(
    kube: KubeClient, existing: Mapping[str, NodeSpec | None], wanted: Mapping[str, NodeSpec]
) -> dict[str, _Amounts]:
    """Return the nodes whose pods request more than they are to have, and how much."""
    shrunk = [
        name
        for name, before in existing.items()
        if before and name in wanted and _is_smaller(before, wanted[name])
    ]
    used = _used(kube) if shrunk else {}
    return {
        name: used[name] for name in shrunk if name in used and _exceeds(used[name], wanted[name])
    }


def _is_smaller(before: NodeSpec, after: NodeSpec) -> bool:
    return after.cpu < before.cpu or after.memory < before.memory


def _used(kube: KubeClient) -> dict[str, _Amounts]:
    """Return the CPUs and bytes that the pods of each node request."""
    return {node.name: _requests(node.pods) for node in measure_capacity(kube)}


def _requests(pods: Iterable[Object]) -> _Amounts:
    amounts = [pod_requests(pod) for pod in pods]
    zero = Decimal(0)
    return (
        sum((each.get("cpu", zero) for each in amounts), zero),
        sum((each.get("memory", zero) for each in amounts), zero),
    )


def _exceeds(used: _Amounts, spec: NodeSpec) -> bool:
    return used[0] > spec.cpu or used[1] > spec.memory


def _too_small(name: str, used: _Amounts) -> DevstackError:
    cpu, memory = format_amount("cpu", used[0]), format_amount("memory", used[1])
    return DevstackError(
        f"node {name!r} cannot become that small",
        cause=f"its pods request {cpu} and {memory}",
        remedy="wait until running flows have ended, or give the pool 'control-plane' more",
        code="NODE_TOO_SMALL",
        exit_status=ExitStatus.USAGE,
    )
