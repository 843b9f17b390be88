"""The configuration file of a kind cluster's scheduler, and how it gets there.

Three of its settings have no flag: how nodes are scored, how long a pod backs off
that found no room, and the rate at which the scheduler may call the API once it
has a file.
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
        # A gang's pods are bound one by one, two writes each; at the default of
        # 50 a second a hundred of them take four times as long.
        "qps": 1000,
        "burst": 1000,
    },
    # A gang that found no room is passed over while it backs off, by default for
    # up to 10 s, whatever its priority and however much room there is by then.
    "podMaxBackoffSeconds": 1,
    "profiles": [
        {
            "schedulerName": "default-scheduler",
            # A gang is placed pod by pod without going back on a choice. Spread
            # over the nodes, small pods leave no node with room for a large one.
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
    """Return the file's content, YAML."""
    return str(yaml.safe_dump(SCHEDULER, sort_keys=False))


def scheduler_mount(file: Path) -> dict[str, Any]:
    """Return kind's mount of ``file`` into the control plane's node."""
    return {"hostPath": str(file), "containerPath": f"{_FOLDER}/{FILE}", "readOnly": True}


def scheduler_patch() -> dict[str, str]:
    """Return kind's patch of kubeadm's configuration that makes the scheduler read the file."""
    volume = {
        "name": "devstack",
        "hostPath": _FOLDER,
        "mountPath": _FOLDER,
        "readOnly": True,
        "pathType": "Directory",
    }
    flags = {
        "config": f"{_FOLDER}/{FILE}",
        # There is one scheduler; electing it costs seconds at each start, and a write
        # every other second. kubeadm's own flag would count for more than the file.
        "leader-elect": "false",
    }
    return cluster_patch(
        [
            *add_flags("scheduler", flags),
            {"op": "add", "path": "/scheduler/extraVolumes", "value": [volume]},
        ]
    )
