"""The resources that a pod requests of its node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from devstack import quantity
from devstack.kube.client import Object

Amounts = dict[str, Decimal]
"""Amounts by resource, in base units: cores, bytes, pieces."""


def pod_requests(pod: Object) -> Amounts:
    """Return what the scheduler reserves for a pod; as ``PodRequests`` of component-helpers.

    Init containers run one after another before the containers; those that restart
    (sidecars) stay.
    """
    spec = pod["spec"]
    total = _sum(spec["containers"])
    sidecars: Amounts = {}
    first: Amounts = {}
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            total = _add(total, _requests(container))
            sidecars = _add(sidecars, _requests(container))
            first = _max(first, sidecars)
        else:
            first = _max(first, _add(_requests(container), sidecars))
    total = _max(total, first) | _requests(spec)
    return _add(total, _parse(spec.get("overhead") or {}))


def format_amount(resource: str, amount: Decimal) -> str:
    """Return an amount as people write it: "0.2", "256 MiB"."""
    if resource in ("memory", "ephemeral-storage") or resource.startswith("hugepages-"):
        return f"{amount / 2**20:,.0f} MiB"
    return f"{amount.normalize():f}"


def _sum(containers: Iterable[Mapping[str, Any]]) -> Amounts:
    total: Amounts = {}
    for container in containers:
        total = _add(total, _requests(container))
    return total


def _requests(spec: Mapping[str, Any]) -> Amounts:
    return _parse((spec.get("resources") or {}).get("requests") or {})


def _parse(amounts: Mapping[str, Any]) -> Amounts:
    return {name: quantity.parse(text) or Decimal(0) for name, text in amounts.items()}


def _add(one: Amounts, other: Amounts) -> Amounts:
    return {name: one.get(name, Decimal(0)) + other.get(name, Decimal(0)) for name in one | other}


def _max(one: Amounts, other: Amounts) -> Amounts:
    return {
        name: max(one.get(name, Decimal(0)), other.get(name, Decimal(0))) for name in one | other
    }
