"""Whether a pod that a ResourceQuota rejects may be created once other pods have ended."""

from __future__ import annotations

import re

from devstack import quantity

# Kubernetes' quota admission: plugin/pkg/admission/resourcequota/controller.go.
_EXCEEDED = re.compile(r"exceeded quota: [^,]+, requested: (\S+), used: (\S+), limited: (\S+)")


def may_fit_quota(message: str) -> bool:
    """Return True if a quota rejects a pod only because of what others use of it now.

    Args:
        message: of the API server, or of a FailedCreate event.
    """
    found = _EXCEEDED.search(message)
    if found is None:
        return False
    requested, _, limited = map(_amounts, found.groups())
    most = {name: quantity.parse(text) for name, text in limited.items()}
    return all(
        (amount := quantity.parse(text)) is not None
        and (limit := most.get(name)) is not None
        and amount <= limit
        for name, text in requested.items()
    )


def _amounts(text: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in text.split(",") if part)
