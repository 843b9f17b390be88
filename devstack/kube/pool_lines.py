"""Which lines of devstack.toml would let pods run that no node offers enough for."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from devstack import quantity
from devstack.kube.capacity import NodeCapacity, fit, node_requests, pod_size
from devstack.kube.client import Object
from devstack.kube.node_selection import required_terms
from devstack.kube.offers import Offers, Shortfall, closest_shortfall, pool_of, shortfall
from devstack.kube.pod_requests import Amounts
from devstack.pools.settings import BASE_POOL, NODES_MAX
from devstack.pools.suggestion import Wanted, suggest_pool, suggest_sizes


def lines_for_pod(pod: Object, closest: Shortfall, offers: Offers) -> list[str]:
    """Return what to write into devstack.toml, as lines; empty if no pool can offer it.

    Args:
        pod: a pod that no node offers enough for.
        closest: what it lacks on the closest node.
        offers: what the cluster offers.
    """
    # Of the base nodes there may be no table.
    if closest.pool not in ("", BASE_POOL) and not closest.labels and not closest.taints:
        used = _used(closest.node)
        requests = node_requests(pod)
        needed = {name: requests[name] + used.get(name, Decimal(0)) for name in closest.resources}
        offered = {name for name, amount in closest.node.free.items() if amount > 0}
        sizes = suggest_sizes(needed, offered)
        return [_table(closest.pool), *sizes] if sizes else []
    return _new_pool([pod], offers)


def lines_for_gang(pods: Sequence[Object], offers: Offers) -> list[str]:
    """Return what to write into devstack.toml so that all pods run at once; empty if impossible."""
    largest = max(pods, key=pod_size)
    closest = closest_shortfall(largest, offers.nodes)
    if closest is not None and not closest.nothing:
        return _new_pool(pods, offers)
    for node in offers.nodes:
        count = _nodes_needed(pods, node, offers)
        if count:
            setting = "max" if _is_addable(pool_of(node.node), offers) else "count"
            return [_table(pool_of(node.node)), f"{setting} = {count}"]
    return _new_pool(pods, offers)


def _nodes_needed(pods: Sequence[Object], node: NodeCapacity, offers: Offers) -> int:
    """Return how many nodes a node's pool needs for all pods; 0 if more nodes do not help."""
    pool = pool_of(node.node)
    if pool in ("", BASE_POOL) or not all(shortfall(pod, node).nothing for pod in pods):
        return 0
    nodes = list(offers.nodes)
    count = sum(pool_of(each.node) == pool for each in nodes)
    total = _count_nodes(offers)
    while fit(pods, nodes) < len(pods):
        nodes.append(node.copy())
        count += 1
        total += 1
        if total > NODES_MAX:
            return 0
    return count


def _new_pool(pods: Sequence[Object], offers: Offers) -> list[str]:
    names = {pool_of(node.node) for node in offers.nodes}
    count = max(1, len(pods) - fit(pods, offers.nodes))
    room = NODES_MAX - _count_nodes(offers)
    if room < 1:
        return []
    per_node = -(-count // room)
    most: Amounts = {}
    for pod in pods:
        for name, amount in node_requests(pod).items():
            most[name] = max(most.get(name, Decimal(0)), amount)
    labels = _labels(pods[0])
    # One pool has one set of labels.
    if labels is None or any(_labels(pod) != labels for pod in pods[1:]):
        return []
    requests = {name: amount * per_node for name, amount in most.items()}
    wanted = Wanted(requests, labels, -(-count // per_node))
    return suggest_pool(wanted, names, _count_nodes(offers))


def _count_nodes(offers: Offers) -> int:
    """Return how many nodes the pools may have, those that they may add included."""
    return sum(pool_of(node.node) not in ("", BASE_POOL) for node in offers.nodes)


def _labels(pod: Object) -> dict[str, str] | None:
    """Return labels that satisfy a pod's node selector and affinity; None if labels cannot."""
    labels = dict(pod["spec"].get("nodeSelector") or {})
    terms = required_terms(pod)
    if not terms:
        return labels if terms is None else None
    term = terms[0]
    if term.get("matchFields"):
        return None
    for each in term.get("matchExpressions") or []:
        values = each.get("values") or []
        value = _value(each["operator"], values)
        if value is not None:
            labels[each["key"]] = value
    return labels


def _value(operator: str, values: Sequence[Any]) -> str | None:
    """Return a value that satisfies a requirement; None if the label may be absent."""
    if operator in ("NotIn", "DoesNotExist"):
        return None
    if operator == "In":
        return str(values[0])
    if operator in ("Gt", "Lt"):
        return str(int(values[0]) + (1 if operator == "Gt" else -1))
    return "true"


def _used(node: NodeCapacity) -> Amounts:
    offered = node.node.get("status", {}).get("allocatable", {})
    return {
        name: (quantity.parse(text) or Decimal(0)) - node.free.get(name, Decimal(0))
        for name, text in offered.items()
    }


def _table(pool: str) -> str:
    return f'# in the table [[pool]] with name = "{pool}":'


def _is_addable(pool: str, offers: Offers) -> bool:
    return any(pool_of(item) == pool for item in offers.shape.addable.values())
