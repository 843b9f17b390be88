"""Serving certificates of kubelets, signed by the cluster's CA.

With ``serverTLSBootstrap`` a kubelet requests its certificate by a
CertificateSigningRequest, which Kubernetes approves for no cluster by itself. Until it
is approved, the kubelet serves no logs and no exec. The signer
``kubernetes.io/kubelet-serving`` signs only requests for the node's own identity.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from devstack.kube.client import KubeClient, Object
from devstack.kube.resources import CERTIFICATES
from devstack.waits import Clock, Observation, Ready, Waiting, wait_until

SIGNER = "kubernetes.io/kubelet-serving"
USAGES = {"digital signature", "key encipherment", "server auth"}
NODE_USER = "system:node:"
NODE_GROUP = "system:nodes"


def ensure_kubelet_certificates(
    kubeconfig: str,
    new_nodes: Collection[str],
    timeout: float,
    clock: Clock,
    note: Callable[[str], None] | None = None,
) -> None:
    """Approve pending requests, and wait for those of new nodes.

    Args:
        kubeconfig: the administrator's, as YAML.
        new_nodes: the names of nodes that have no certificate yet.
        timeout: seconds to wait for their requests.
        clock: the clock.
        note: receives the reason for waiting.

    Raises:
        DevstackError: ``WAIT_TIMEOUT``.
    """
    kube = KubeClient.from_kubeconfig(kubeconfig)

    def observe() -> Observation:
        missing = sorted({*new_nodes} - approve_kubelet_certificates(kube))
        return Waiting(f"{missing[0]} has not requested one yet") if missing else Ready()

    wait_until(
        observe,
        what="the kubelets' serving certificates",
        timeout=timeout,
        clock=clock,
        note=note,
    )


def approve_kubelet_certificates(kube: KubeClient) -> set[str]:
    """Approve pending requests of nodes; return the nodes whose request is approved."""
    approved = set()
    for request in kube.list_objects(
        CERTIFICATES, "CertificateSigningRequest", fields=f"spec.signerName={SIGNER}"
    ):
        conditions = request.get("status", {}).get("conditions", [])
        if not conditions and _is_from_kubelet(request):
            kube.replace(_approved(request), "approval")
        elif not any(condition["type"] == "Approved" for condition in conditions):
            continue
        approved.add(request["spec"]["username"].removeprefix(NODE_USER))
    return approved


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
