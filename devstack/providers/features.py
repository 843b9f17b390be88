"""The Kubernetes features of clusters that devstack creates, by minor version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Features:
    """What is enabled in a version of Kubernetes beyond its defaults.

    Attributes:
        gates: feature gates, of all components.
        apis: API groups and versions that the API server serves, as ``--runtime-config``.
        kubelet: settings of the kubelets.
    """

    gates: Mapping[str, bool] = field(default_factory=dict)
    apis: Mapping[str, str] = field(default_factory=dict)
    kubelet: Mapping[str, str] = field(default_factory=dict)


# Since 1.35 a pod may use an image that a kubelet has pulled only with a login of its own, and
# images are compared by their ids: one that is pulled under another name could no longer be used
# under that by which it was put on the node (docs/adr/0022-registries.md).
_ALL_IMAGES = {"imagePullCredentialsVerificationPolicy": "NeverVerify"}


_POLICY_GATES = {"MutatingAdmissionPolicy": True}
_POLICY_APIS = {"admissionregistration.k8s.io/v1beta1": "true"}

FEATURES = {
    # Native gang scheduling (KEP-4671) is beta, and off by default.  With the second gate, the
    # scheduler counts the CPU weight of a pod's cgroup as its request, also if the pod has no
    # resources of its own; stacks give their services a high weight (kind/limit-pods).
    "1.37": Features(
        {"GenericWorkload": True, "InPlacePodLevelResourcesVerticalScaling": False},
        {"scheduling.k8s.io/v1beta1": "true"},
        _ALL_IMAGES,
    ),
    # It is alpha. Without the third gate a gang of high priority that does not fit still
    # preempts other pods, one by one, and does not start.
    "1.36": Features(
        {"GenericWorkload": True, "GangScheduling": True, "WorkloadAwarePreemption": True},
        {"scheduling.k8s.io/v1alpha2": "true"},
        _ALL_IMAGES,
    ),
    # Mutating admission policies are beta, and off by default; gang scheduling is not usable.
    "1.35": Features(_POLICY_GATES, _POLICY_APIS, _ALL_IMAGES),
    # For policies of users; devstack's own need functions that 1.34 does not have.
    "1.34": Features(_POLICY_GATES, _POLICY_APIS),
}
"""By minor version of Kubernetes."""
