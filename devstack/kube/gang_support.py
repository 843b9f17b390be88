"""What a cluster offers to those who want gangs."""

from __future__ import annotations

from enum import Enum

from devstack.kube.client import KubeClient
from devstack.kube.resources import ADMISSION, POD_GROUPS

COSCHEDULING = "scheduling.x-k8s.io/v1alpha1"
"""The API of the coscheduling plug-in of kube-scheduler."""


class GangSupport(str, Enum):
    """By what the pods of a group are held back until all of them can start."""

    NATIVE = "native"
    COSCHEDULING = "coscheduling"
    OFF = "off"


def find_gang_support(client: KubeClient) -> tuple[GangSupport, str]:
    """Return what the cluster offers, and where that is nothing, why.

    Gangs take two things: policies that change objects as they are created, in
    every API server from Kubernetes 1.36 on, and groups of pods, which the
    scheduler knows behind an alpha gate or by a plug-in.
    """
    if "MutatingAdmissionPolicy" not in client.kinds(ADMISSION):
        return GangSupport.OFF, (
            f"Kubernetes {client.version()} has no MutatingAdmissionPolicy in {ADMISSION};"
            " that comes with 1.36"
        )
    if "PodGroup" in client.kinds(POD_GROUPS):
        return GangSupport.NATIVE, ""
    if "PodGroup" in client.kinds(COSCHEDULING):
        return GangSupport.COSCHEDULING, ""
    return GangSupport.OFF, (
        f"Kubernetes {client.version()} serves no PodGroup: neither {POD_GROUPS}, which its"
        " gates GenericWorkload and GangScheduling bring, nor the coscheduling plug-in's"
    )
