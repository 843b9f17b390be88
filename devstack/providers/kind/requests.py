"""What the pods of Kubernetes itself request on a node, and how many CoreDNS pods run.

kubeadm's defaults are for servers: 850m, nearly half of a laptop's two cores.  The requests
here are measured idle use plus a margin (docs/adr/0013-control-plane.md).  kubeadm applies the
patches, so they hold for any node image.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from devstack.state import StackDir

FOLDER = "kubeadm-patches"
"""Its name in the stack's directory."""

_NODE_FOLDER = "/etc/kubernetes/kubeadm-patches"

REQUESTS: Mapping[str, Mapping[str, str]] = {
    "etcd": {"cpu": "30m", "memory": "64Mi"},
    "kube-apiserver": {"cpu": "100m", "memory": "256Mi"},
    "kube-controller-manager": {"cpu": "30m", "memory": "64Mi"},
    "kube-scheduler": {"cpu": "10m", "memory": "32Mi"},
}
"""Requests of the static pods' containers."""

COREDNS = {"cpu": "10m", "memory": "32Mi"}

# Go collects garbage once the heap has doubled; memory matters more here than CPU time.
ENVIRONMENT = {"GOGC": "50"}


def patch_files(nodes: int) -> dict[str, str]:
    """Return kubeadm's patches, strategic merge patches in YAML by file name.

    Args:
        nodes: a cluster of one node has one CoreDNS: a second one would go down with it.
    """
    files = {name: _static_pod(name, requests) for name, requests in REQUESTS.items()}
    files["corednsdeployment"] = _coredns(replicas=1 if nodes == 1 else 2)
    return {f"{name}+strategic.yaml": yaml.safe_dump(patch) for name, patch in files.items()}


def write_patches(stack: StackDir, nodes: int) -> Path:
    """Write the patches into the stack's directory; return their folder."""
    for name, text in patch_files(nodes).items():
        stack.write_file(f"{FOLDER}/{name}", text)
    return stack.path / FOLDER


def patches_mount(folder: Path) -> dict[str, Any]:
    """Return kind's mount of ``folder`` into the control plane's node."""
    return {"hostPath": str(folder), "containerPath": _NODE_FOLDER, "readOnly": True}


def patches_config() -> str:
    """Return kind's patch that makes `kubeadm init` read the folder."""
    config = {"kind": "InitConfiguration", "patches": {"directory": _NODE_FOLDER}}
    return str(yaml.safe_dump(config, sort_keys=False))


def _static_pod(name: str, requests: Mapping[str, str]) -> dict[str, Any]:
    environment = [{"name": key, "value": value} for key, value in ENVIRONMENT.items()]
    container = {"name": name, "resources": {"requests": dict(requests)}, "env": environment}
    return {"spec": {"containers": [container]}}


def _coredns(replicas: int) -> dict[str, Any]:
    container = {"name": "coredns", "resources": {"requests": dict(COREDNS)}}
    # Of the classes that Kubernetes has, only this one protects pods if memory is short.
    pod = {"containers": [container], "priorityClassName": "system-node-critical"}
    return {"spec": {"replicas": replicas, "template": {"spec": pod}}}
