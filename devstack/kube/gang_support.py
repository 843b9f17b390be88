"""Whether a cluster supports gang scheduling, and by which mechanism."""

from __future__ import annotations

from enum import Enum

from devstack.kube.client import KubeClient
from devstack.kube.resources import ADMISSION, COSCHEDULING, POD_GROUPS


class GangSupport(str, Enum):
    """The mechanism that enforces gang scheduling."""

    NATIVE = "native"
    COSCHEDULING = "coscheduling"
    OFF = "off"


def find_gang_support(client: KubeClient) -> tuple[GangSupport, str]:
    """Return the mechanism that the cluster offers, and why if it offers none.

    Gangs require mutating admission policies, which every API server from Kubernetes
    1.36 on has, and PodGroups, which kube-scheduler supports behind alpha feature
    gates or by a plug-in.
    """
    if "MutatingAdmissionPolicy" not in client.kinds(ADMISSION):
        return GangSupport.OFF, (
            f"Kubernetes {client.version()} has no MutatingAdmissionPolicy in {ADMISSION};"
            " it requires 1.36"
        )
    if "PodGroup" in client.kinds(POD_GROUPS):
        return GangSupport.NATIVE, ""
    if "PodGroup" in client.kinds(COSCHEDULING):
        return GangSupport.COSCHEDULING, ""
    return GangSupport.OFF, (
        f"Kubernetes {client.version()} serves no PodGroup: neither {POD_GROUPS}, which its"
        " feature gates GenericWorkload and GangScheduling enable, nor the coscheduling plug-in's"
    )
