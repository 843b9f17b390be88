"""CertificateSigningRequests as kubelets create them, and certificates of clients."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

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


def build_client_certificate(start: datetime, end: datetime) -> str:
    """Return a client's certificate, PEM, that is valid from ``start`` to ``end``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes-admin")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()
