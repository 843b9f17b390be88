"""How a node joins a cluster: `kubeadm join`, with files that kubeadm reads.

kind joins its own workers in the same way (kind: pkg/cluster/internal/create/actions/
kubeadmjoin); the configuration that all kubelets share comes from the cluster.
"""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import yaml

from devstack.kube import kubeconfig
from devstack.kube.client import KubeClient
from devstack.kube.pool_nodes import build_taint
from devstack.kube.times import format_time
from devstack.pools.nodes import POOL_LABEL, NodeSpec

FOLDER = "/kind"
"""Where every kind node image keeps the files of kubeadm."""

CONFIG, DISCOVERY = "kubeadm.conf", "devstack-discovery.conf"

JOINED = "/etc/kubernetes/kubelet.conf"
"""Every kubelet has its credentials here once its node has joined."""

BOOTED = "until systemctl is-active --quiet multi-user.target; do sleep 0.1; done"
"""A script that ends once systemd accepts requests: its entrypoint has handed over to it."""

SCRIPT = f"""\
{BOOTED}
kubeadm join --config {FOLDER}/{CONFIG} --skip-phases=preflight 2>&1
status=$?
rm -f {FOLDER}/{CONFIG} {FOLDER}/{DISCOVERY}
exit $status
"""

_ALPHABET = string.ascii_lowercase + string.digits
_LIFETIME = timedelta(minutes=30)


@contextmanager
def join_token(kube: KubeClient) -> Iterator[str]:
    """Create a bootstrap token, as `kubeadm token create` does, and delete it afterwards.

    Source: Kubernetes' documentation, "Authenticating with Bootstrap Tokens".
    """
    first, second = (
        "".join(secrets.choice(_ALPHABET) for _ in range(length)) for length in (6, 16)
    )
    name = f"bootstrap-token-{first}"
    kube.create(_token_secret(name, first, second))
    try:
        yield f"{first}.{second}"
    finally:
        kube.delete("v1", "Secret", name, "kube-system")


def join_files(
    cluster: str, node: str, spec: NodeSpec, address: str, admin: str, token: str
) -> dict[str, str]:
    """Return the files that `kubeadm join` reads, by name.

    Args:
        cluster: the kind cluster's name.
        node: the new node's name.
        spec: what it is to be; its taints are set before the first pod is scheduled.
        address: its IPv4 address.
        admin: the administrator's kubeconfig, which has the cluster's CA.
        token: a bootstrap token.
    """
    # The stack's services do not run on nodes with this label; the API sets the others.
    label = f"{POOL_LABEL}={spec.pool}"
    flags = {
        "node-ip": address,
        "provider-id": f"kind://docker/{cluster}/{node}",
        "node-labels": label,
    }
    config = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "JoinConfiguration",
        "nodeRegistration": {
            "criSocket": "unix:///run/containerd/containerd.sock",
            "kubeletExtraArgs": [{"name": key, "value": flags[key]} for key in flags],
            "taints": [build_taint(text) for text in spec.taints],
        },
        "discovery": {
            "file": {"kubeConfigPath": f"{FOLDER}/{DISCOVERY}"},
            "tlsBootstrapToken": token,
        },
    }
    discovery = _discovery(kubeconfig.parse(admin), f"https://{cluster}-control-plane:6443")
    return {CONFIG: yaml.safe_dump(config), DISCOVERY: yaml.safe_dump(discovery)}


def _discovery(admin: Mapping[str, Any], server: str) -> dict[str, Any]:
    authority = admin["clusters"][0]["cluster"]["certificate-authority-data"]
    cluster = {"server": server, "certificate-authority-data": authority}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "", "cluster": cluster}],
        "contexts": [],
        "users": [],
    }


def _token_secret(name: str, token_id: str, token: str) -> dict[str, Any]:
    expiration = format_time(datetime.now(timezone.utc) + _LIFETIME)
    values = {
        "token-id": token_id,
        "token-secret": token,
        "expiration": expiration,
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in values.items()},
    }
