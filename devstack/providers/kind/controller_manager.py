"""Flags with which a kind cluster's controller manager starts quickly."""

from __future__ import annotations

from devstack.providers.kind.kubeadm import add_flags, cluster_patch

FLAGS = {
    # Each controller starts by creating a service account and a token: some hundred
    # requests in all, which take 5 s at the default rate of 20 per second.
    "kube-api-qps": "200",
    "kube-api-burst": "400",
    # The only controller manager needs no leader election, which takes seconds.
    "leader-elect": "false",
}


def controller_manager_patch(kubernetes: str) -> dict[str, str]:
    """Return the patch of kubeadm's configuration, for kind, that adds the flags.

    Args:
        kubernetes: the minor version of Kubernetes.
    """
    return cluster_patch(add_flags("controllerManager", FLAGS, kubernetes), kubernetes)
