"""Serving certificates of kubelets, signed by the cluster's CA.

With ``serverTLSBootstrap`` a kubelet requests its certificate by a
CertificateSigningRequest, which Kubernetes approves for no cluster by itself. Until it
is approved, the kubelet serves no logs and no exec. The signer
``kubernetes.io/kubelet-serving`` signs only requests for the node's own identity.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress

from devstack.kube.api_errors import (
    ConflictError,
    NotFoundError,
    ServerFaultError,
    UnreachableError,
)
from devstack.kube.client import KubeClient, Object
from devstack.kube.resources import CERTIFICATES
from devstack.waits import Clock, Observation, Ready, Waiting, wait_until

SIGNER = "kubernetes.io/kubelet-serving"
USAGES = {"digital signature", "key encipherment", "server auth"}
NODE_USER = "system:node:"
NODE_GROUP = "system:nodes"

REQUEST_TIMEOUT = 3.0
"""Seconds for one request: the API server may hold a connection to a kubelet that is gone."""


def ensure_kubelet_certificates(
    kubeconfig: str,
    new_nodes: Collection[str],
    timeout: float,
    clock: Clock,
    note: Callable[[str], None] | None = None,
) -> None:
    """Approve pending requests, and wait until the kubelets of new nodes serve.

    kubeadm restarts a kubelet, which then requests another certificate: an approved
    request does not mean that the kubelet has its certificate.

    Args:
        kubeconfig: the administrator's, as YAML.
        new_nodes: the names of nodes that have no certificate yet.
        timeout: seconds to wait for their requests.
        clock: the clock.
        note: receives the reason for waiting.

    Raises:
        DevstackError: ``WAIT_TIMEOUT``.
    """
    kube = KubeClient.from_kubeconfig(kubeconfig, timeout=REQUEST_TIMEOUT)

    def observe() -> Observation:
        node = ""
        try:
            approve_kubelet_certificates(kube)
            for node in new_nodes:
                kube.kubelet_healthz(node)
        except (NotFoundError, ServerFaultError, UnreachableError) as error:
            why = error.cause or str(error)
            return Waiting(f"the kubelet of {node} does not serve yet: {why}" if node else why)
        return Ready()

    wait_until(
        observe,
        what="the kubelets' serving certificates",
        timeout=timeout,
        clock=clock,
        note=note,
    )


def approve_kubelet_certificates(kube: KubeClient) -> None:
    """Approve pending requests of nodes."""
    for request in kube.list_objects(
        CERTIFICATES, "CertificateSigningRequest", fields=f"spec.signerName={SIGNER}"
    ):
        conditions = request.get("status", {}).get("conditions", [])
        if not conditions and _is_from_kubelet(request):
            with suppress(ConflictError):  # another thread has approved it
                kube.replace(_approved(request), "approval")


def _is_from_kubelet(request: Object) -> bool:
    spec = request["spec"]
    return (
        spec["username"].startswith(NODE_USER)
        and NODE_GROUP in spec.get("groups", [])
        and {*spec["usages"]} <= USAGES
    )


def _approved(request: Object) -> Object:
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": "DevstackApproved",
        "message": "the serving certificate of a node that devstack created",
    }
    return {**request, "status": {"conditions": [condition]}}
