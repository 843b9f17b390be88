"""Whether a cluster supports gang scheduling, and by which mechanism."""

from __future__ import annotations

from enum import Enum

from devstack.kube.client import KubeClient
from devstack.kube.policies import NEEDED, find_policy_api
from devstack.kube.resources import COSCHEDULING, POD_GROUPS


class GangSupport(str, Enum):
    """The mechanism that enforces gang scheduling."""

    NATIVE = "native"
    COSCHEDULING = "coscheduling"
    OFF = "off"


def find_gang_support(client: KubeClient) -> tuple[GangSupport, str]:
    """Return the mechanism that the cluster offers, and why if it offers none.

    Gangs require mutating admission policies, and PodGroups, which kube-scheduler supports
    behind feature gates or by a plug-in.
    """
    if not find_policy_api(client):
        return GangSupport.OFF, f"Kubernetes {client.version()} does not serve {NEEDED}"
    if any("PodGroup" in client.kinds(each) for each in POD_GROUPS):
        return GangSupport.NATIVE, ""
    if "PodGroup" in client.kinds(COSCHEDULING):
        return GangSupport.COSCHEDULING, ""
    beta, alpha = POD_GROUPS
    return GangSupport.OFF, (
        f"Kubernetes {client.version()} serves no PodGroup: neither {beta} (from 1.37 on, feature"
        f" gate GenericWorkload), nor {alpha} (1.36, feature gates GenericWorkload and"
        " GangScheduling), nor the coscheduling plug-in's"
    )
