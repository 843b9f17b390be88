"""The configuration file of a kind cluster's scheduler, and its mount into the node.

Three settings have no flag: the scoring of nodes, the backoff of unschedulable pods,
and the scheduler's rate limit for the API if it has a configuration file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from devstack.providers.kind.kubeadm import add_flags, cluster_patch

FILE = "scheduler.yaml"
"""Its name in the stack's directory and in the node."""

_FOLDER = "/etc/kubernetes/devstack"

SCHEDULER: dict[str, Any] = {
    "apiVersion": "kubescheduler.config.k8s.io/v1",
    "kind": "KubeSchedulerConfiguration",
    "clientConnection": {
        "kubeconfig": "/etc/kubernetes/scheduler.conf",
        # A gang's pods are bound one by one, with two writes each; at the default rate
        # of 50 per second a hundred pods take four times as long.
        "qps": 1000,
        "burst": 1000,
    },
    # An unschedulable gang is skipped during its backoff, by default up to 10 s,
    # regardless of its priority, even if resources have become free.
    "podMaxBackoffSeconds": 1,
    "profiles": [
        {
            "schedulerName": "default-scheduler",
            # A gang is placed pod by pod, without backtracking. Small pods that are
            # spread over all nodes leave no node with resources for a large one.
            "plugins": {
                "score": {
                    "disabled": [
                        {"name": "NodeResourcesBalancedAllocation"},
                        {"name": "PodTopologySpread"},
                    ]
                }
            },
            "pluginConfig": [
                {
                    "name": "NodeResourcesFit",
                    "args": {
                        "scoringStrategy": {
                            "type": "MostAllocated",
                            "resources": [
                                {"name": "cpu", "weight": 1},
                                {"name": "memory", "weight": 1},
                            ],
                        }
                    },
                }
            ],
        }
    ],
}


def scheduler_text() -> str:
    """Return the file's content (YAML)."""
    return str(yaml.safe_dump(SCHEDULER, sort_keys=False))


def scheduler_mount(file: Path) -> dict[str, Any]:
    """Return the mount of ``file`` into the control plane's node, in kind's form."""
    return {"hostPath": str(file), "containerPath": f"{_FOLDER}/{FILE}", "readOnly": True}


def scheduler_patch(kubernetes: str) -> dict[str, str]:
    """Return the patch of kubeadm's configuration that makes the scheduler read the file.

    Args:
        kubernetes: the minor version of Kubernetes.
    """
    volume = {
        "name": "devstack",
        "hostPath": _FOLDER,
        "mountPath": _FOLDER,
        "readOnly": True,
        "pathType": "Directory",
    }
    flags = {
        "config": f"{_FOLDER}/{FILE}",
        # The only scheduler needs no leader election, which takes seconds at each start
        # and a write every other second. kubeadm's flag would override the file.
        "leader-elect": "false",
    }
    return cluster_patch(
        [
            *add_flags("scheduler", flags, kubernetes),
            {"op": "add", "path": "/scheduler/extraVolumes", "value": [volume]},
        ],
        kubernetes,
    )
