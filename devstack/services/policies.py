"""The API of mutating admission policies, as services record it in the state."""

from __future__ import annotations

from collections.abc import Iterable

from devstack.kube.policies import find_policy_api, with_policy_api
from devstack.kube.resources import ADMISSION
from devstack.services.base import Manifest, ServiceContext

_CAPABILITY = "admission policies"


def detect_policy_api(ctx: ServiceContext) -> str:
    """Record which version of the API the cluster serves, and return it; empty if none."""
    found = find_policy_api(ctx.api)
    if found:
        ctx.state.capabilities[_CAPABILITY] = found
    return found


def in_served_api(objects: Iterable[Manifest], ctx: ServiceContext) -> list[Manifest]:
    """Return ``objects`` with policies of the version that the cluster serves."""
    return with_policy_api(objects, ctx.state.capabilities.get(_CAPABILITY, ADMISSION))
