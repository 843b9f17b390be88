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
    """

    gates: Mapping[str, bool] = field(default_factory=dict)
    apis: Mapping[str, str] = field(default_factory=dict)


FEATURES = {
    # Native gang scheduling (KEP-4671) is beta, and off by default.
    "1.37": Features({"GenericWorkload": True}, {"scheduling.k8s.io/v1beta1": "true"}),
    # It is alpha. Without the third gate a gang of high priority that does not fit still
    # preempts other pods, one by one, and does not start.
    "1.36": Features(
        {"GenericWorkload": True, "GangScheduling": True, "WorkloadAwarePreemption": True},
        {"scheduling.k8s.io/v1alpha2": "true"},
    ),
    "1.35": Features(),
    "1.34": Features(),
}
"""By minor version of Kubernetes."""
