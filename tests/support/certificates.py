"""CertificateSigningRequests as kubelets create them."""

from __future__ import annotations

from devstack.kube.client import Object
from devstack.kube.resources import CERTIFICATES
from devstack.providers.kind.kubelet_certificates import SIGNER


def certificate_request(node: str, **spec: object) -> Object:
    """Return the pending request of a node for its serving certificate."""
    return {
        "apiVersion": CERTIFICATES,
        "kind": "CertificateSigningRequest",
        "metadata": {"name": f"csr-{node}"},
        "spec": {
            "signerName": SIGNER,
            "username": f"system:node:{node}",
            "groups": ["system:nodes", "system:authenticated"],
            "usages": ["digital signature", "server auth"],
            **spec,
        },
        "status": {},
    }
