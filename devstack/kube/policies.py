"""Mutating admission policies, in the version of their API that a cluster serves."""

from __future__ import annotations

from collections.abc import Iterable

from devstack.kube.client import KubeClient, Object
from devstack.kube.resources import ADMISSION, ADMISSION_BETA

NEEDED = (
    "MutatingAdmissionPolicy, which Kubernetes has from 1.36 on, and 1.34 and 1.35 have "
    f"if the feature gate of this name and {ADMISSION_BETA} are enabled"
)
"""What a cluster without policies lacks."""

_KINDS = ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding")


def find_policy_api(client: KubeClient) -> str:
    """Return group and version of the policies that the cluster serves; empty if it has none."""
    served = (each for each in (ADMISSION, ADMISSION_BETA) if _KINDS[0] in client.kinds(each))
    return next(served, "")


def with_policy_api(objects: Iterable[Object], api_version: str) -> list[Object]:
    """Return ``objects`` with the policies among them in a version of their API.

    The versions have the same fields (KEP-3962).
    """
    return [
        {**item, "apiVersion": api_version} if item["kind"] in _KINDS else item for item in objects
    ]
