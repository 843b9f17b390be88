"""Whether a pod that a ResourceQuota rejects may be created once other pods have ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from devstack import quantity
from devstack.kube.api_errors import ApiError
from devstack.kube.client import KubeClient

# Kubernetes' quota admission: plugin/pkg/admission/resourcequota/controller.go.
_EXCEEDED = re.compile(r"exceeded quota: ([^,]+), requested: (\S+), used: (\S+), limited: (\S+)")


def may_fit_quota(message: str) -> bool:
    """Return True if a quota rejects a pod only because of what others use of it now.

    Args:
        message: of the API server, or of a FailedCreate event.
    """
    found = _EXCEEDED.search(message)
    if found is None:
        return False
    requested, _, limited = map(_amounts, found.groups()[1:])
    most = {name: quantity.parse(text) for name, text in limited.items()}
    return all(
        (amount := quantity.parse(text)) is not None
        and (limit := most.get(name)) is not None
        and amount <= limit
        for name, text in requested.items()
    )


def quota_has_room(client: KubeClient, namespace: str, message: str) -> bool:
    """Return True if the quota that a message names has room again; also if it cannot be read."""
    found = _EXCEEDED.search(message)
    if found is None:
        return False
    try:
        quota = client.find("v1", "ResourceQuota", found[1], namespace)
    except ApiError:
        return True
    status = (quota or {}).get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    return all(
        _number(used, name) + (quantity.parse(text) or 0) <= _number(hard, name)
        for name, text in _amounts(found[2]).items()
        if name in hard
    )


def _number(amounts: Mapping[str, str], name: str) -> Decimal:
    return quantity.parse(amounts.get(name, "0")) or Decimal(0)


def _amounts(text: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in text.split(",") if part)
