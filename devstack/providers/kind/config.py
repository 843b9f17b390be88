"""The configuration file for `kind create cluster`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from devstack.ports import LOOPBACK
from devstack.providers.base import ClusterSpec
from devstack.providers.features import FEATURES
from devstack.providers.kind.controller_manager import controller_manager_patch
from devstack.providers.kind.node_files import node_mounts
from devstack.providers.kind.ownership import owner_mount
from devstack.providers.kind.requests import patches_config, patches_mount
from devstack.providers.kind.scheduler import scheduler_mount, scheduler_patch

# By default, Kubernetes 1.35 and later reject a host with cgroup v1.
# A node's status says within a second which devices it offers, instead of ten; an unchanged
# status is still reported every five minutes.
# Kubelets request their serving certificates from the cluster's CA, so that clients
# such as metrics-server can verify them; see kubelet_certificates.py.
KUBELET_PATCH = """\
kind: KubeletConfiguration
apiVersion: kubelet.config.k8s.io/v1beta1
failCgroupV1: false
serverTLSBootstrap: true
nodeStatusUpdateFrequency: 1s
nodeStatusReportFrequency: 5m
"""

# kubeadm waits a minute for each request of its own to succeed.  On a slow machine the API server
# is away for longer while the node loads images.  kind writes kubeadm's v1beta4 from Kubernetes
# 1.36 on; with v1beta3, which has no such field, the patch matches no document and is ignored.
KUBEADM_PATCH = """\
kind: InitConfiguration
apiVersion: kubeadm.k8s.io/v1beta4
timeouts:
  kubernetesAPICall: 5m0s
"""

# kind's own value is 1 s: each new Service, and each pod behind one that becomes ready,
# would be reachable up to a second later.  With tens of Services a sync is cheap.
KUBE_PROXY_PATCH = """\
kind: KubeProxyConfiguration
apiVersion: kubeproxy.config.k8s.io/v1alpha1
iptables:
  minSyncPeriod: 100ms
"""


def build_config(
    spec: ClusterSpec,
    api_port: int,
    scheduler: Path | None = None,
    owner: Path | None = None,
    patches: Path | None = None,
    folders: Sequence[Path] = (),
) -> str:
    """Return kind's configuration for ``spec``, as YAML.

    Args:
        spec: the cluster to create; ``host_ports`` are mapped on the control plane.
        api_port: the host port of the API, on loopback.
        scheduler: the scheduler's configuration file on this machine; None for the
            scheduler's defaults.
        owner: the file that names the cluster's owner, mounted into every node.
        patches: the folder of kubeadm's patches on this machine; None for kubeadm's
            defaults.
        folders: for each node, the folder of its files; empty for the machine's size.
    """
    config = _plain_config(spec, api_port)
    control_plane = config["nodes"][0]
    mounts = []
    if scheduler:
        mounts.append(scheduler_mount(scheduler))
        config["kubeadmConfigPatchesJSON6902"].append(scheduler_patch(spec.kubernetes))
    if patches:
        mounts.append(patches_mount(patches))
        config["kubeadmConfigPatches"].append(patches_config())
    if mounts:
        control_plane["extraMounts"] = mounts
    for node, folder in zip(config["nodes"], folders, strict=False):
        node.setdefault("extraMounts", []).extend(node_mounts(folder))
    if owner:
        for node in config["nodes"]:
            node.setdefault("extraMounts", []).append(owner_mount(owner))
    return str(yaml.dump(config, Dumper=_Dumper, sort_keys=False))


def _plain_config(spec: ClusterSpec, api_port: int) -> dict[str, Any]:
    """Return the configuration without files of this machine."""
    features = FEATURES[spec.kubernetes]
    kubelet = "".join(f"{name}: {value}\n" for name, value in features.kubelet.items())
    control_plane: dict[str, Any] = {
        "role": "control-plane",
        "extraPortMappings": [
            {"listenAddress": LOOPBACK, "hostPort": host, "containerPort": node}
            for host, node in sorted(spec.host_ports.items())
        ],
    }
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "featureGates": dict(features.gates),
        "runtimeConfig": dict(features.apis),
        "networking": {"apiServerAddress": LOOPBACK, "apiServerPort": api_port},
        "kubeadmConfigPatches": [KUBELET_PATCH + kubelet, KUBE_PROXY_PATCH, KUBEADM_PATCH],
        "kubeadmConfigPatchesJSON6902": [controller_manager_patch(spec.kubernetes)],
        "nodes": [control_plane, *({"role": "worker"} for _ in range(spec.nodes - 1))],
    }


class _Dumper(yaml.SafeDumper):
    """Writes multi-line strings as blocks, so that `--dry-run` is readable."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
