"""Mutating admission policies, in the version of their API that a cluster serves."""

from __future__ import annotations

import re
from collections.abc import Iterable

from devstack.kube.client import KubeClient, Object
from devstack.kube.resources import ADMISSION, ADMISSION_BETA

NEEDED = (
    "MutatingAdmissionPolicy as devstack needs it: Kubernetes has it from 1.36 on, and 1.35 has it "
    f"if the feature gate of this name and {ADMISSION_BETA} are enabled"
)
"""What a cluster without policies lacks."""

_FIRST_BETA = 35
"""Kubernetes 1.34 serves the API too, but its expressions have no `lists.range`, for example."""

_KINDS = ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding")


def find_policy_api(client: KubeClient) -> str:
    """Return group and version of the policies that the cluster serves; empty if it has none.

    Also if they lack what devstack's own policies need.
    """
    if _KINDS[0] in client.kinds(ADMISSION):
        return ADMISSION
    if _KINDS[0] in client.kinds(ADMISSION_BETA) and _minor(client.version()) >= _FIRST_BETA:
        return ADMISSION_BETA
    return ""


def with_policy_api(objects: Iterable[Object], api_version: str) -> list[Object]:
    """Return ``objects`` with the policies among them in a version of their API.

    The versions have the same fields (KEP-3962).
    """
    return [
        {**item, "apiVersion": api_version} if item["kind"] in _KINDS else item for item in objects
    ]


def _minor(version: str) -> int:
    """Return the minor version in ``v1.35.4``; 0 if there is none."""
    found = re.match(r"v1\.(\d+)", version)
    return int(found[1]) if found else 0
