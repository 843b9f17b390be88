"""The flags of a kind cluster's controller manager that let it start quickly."""

from __future__ import annotations

from devstack.providers.kind.kubeadm import add_flags, cluster_patch

FLAGS = {
    # Each of its controllers begins with an account and a token of its own, some
    # hundred requests in all; at the default of 20 a second that takes 5 s.
    "kube-api-qps": "200",
    "kube-api-burst": "400",
    # There is one controller manager; electing it costs seconds at each start.
    "leader-elect": "false",
}


def controller_manager_patch() -> dict[str, str]:
    """Return kind's patch of kubeadm's configuration that adds the flags."""
    return cluster_patch(add_flags("controllerManager", FLAGS))
