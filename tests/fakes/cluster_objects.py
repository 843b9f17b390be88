"""Objects of a cluster, and kubeconfigs of it."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from devstack.kube.client import Object

TASKS = "metaflow"
NODE = "mine-control-plane"


def secret(name: str, values: dict[str, str]) -> Object:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    metadata = {"name": name, "namespace": TASKS}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def node(name: str = NODE, ready: str = "True", **conditions: str) -> Object:
    labels = {"node-role.kubernetes.io/control-plane": ""} if name == NODE else {}
    listed = [{"type": kind, "status": value} for kind, value in conditions.items()]
    listed.append({"type": "Ready", "status": ready, "message": "PLEG is not healthy"})
    metadata = {"name": name, "labels": labels}
    status = {"conditions": listed}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status}


def write_kubeconfig(file: Path, certificate: str = "") -> None:
    """Write a kubeconfig, with a client's certificate or without."""
    user = {"token": "t"}
    if certificate:
        encoded = base64.b64encode(certificate.encode()).decode()
        user = {"client-certificate-data": encoded, "client-key-data": encoded}
    config = {
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "c", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    }
    file.write_text(yaml.safe_dump(config))
