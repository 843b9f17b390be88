"""The Kubernetes features of clusters that devstack creates."""

# Native gang scheduling is alpha in Kubernetes 1.36 (KEP-4671), so off by default.
# Without the third gate a gang of high priority that does not fit still preempts other
# pods, one by one, and does not start.
FEATURE_GATES = {"GenericWorkload": True, "GangScheduling": True, "WorkloadAwarePreemption": True}
RUNTIME_CONFIG = {"scheduling.k8s.io/v1alpha2": "true"}
