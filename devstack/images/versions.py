"""The versions of everything that devstack runs, except Kubernetes: kubernetes_versions.py."""

from __future__ import annotations

CONTAINERD = "v2.3.7"
KIND = "v0.33.0"
JOBSET = "v0.12.0"
GANG = "v3"
"""devstack's own gang controller; increase it when its effect on a cluster changes."""
NODE_AGENT = "v1"
"""devstack's own node agent; increase it when its effect on a cluster changes."""
PROVISIONER = "v1"
"""devstack's own volume provisioner; increase it when its effect on a cluster changes."""
METRICS_SERVER = "v0.9.0"
NETWORK_POLICIES = "v1"
"""devstack's own enforcement of network policies; increase it when its effect changes."""
MINIO = "RELEASE.2025-09-07T16-13-09Z"
"""The last release with an upstream image; a built image is compiled from the same commit."""

REGISTRY = "v3.1.2"
ARGO = "v3.7.4"
"""Metaflow's conditionals hang from 3.7.11 on (docs/adr/0032-argo-workflows.md)."""
ARGO_EVENTS = "v1.9.7"
NATS = "v2.11.17"
"""The server of Argo Events' event bus."""

POSTGRES = "15"
"""Major version: Debian bookworm's."""

RABBITMQ = "3.10"
"""Minor version: Debian bookworm's."""
REDIS = "7"
"""Major version: Debian bookworm's."""

AIRFLOW = "2.11.2"
"""The last series that runs Metaflow's DAG files; see containers/airflow/requirements.in."""
AIRFLOW_RECIPE = "13"
"""Increase it when the Airflow image changes in other ways."""
METADATA = "2"
"""devstack's own metadata service; increase it when its responses change."""
KUBEFLOW = "2"
"""devstack's own pipelines API; increase it when its responses change."""
GIT = "3"
"""devstack's own git-sync and Git server; increase it when their effect changes."""
XCOM = "1"
"""Version of the sidecar that passes a task's result to Airflow."""
BUSYBOX = "1.36.1"
"""The upstream image that is pulled if the xcom image is not built."""

TASK_PYTHON = "3.11"
"""Minor version of Python in the task image: Debian bookworm's."""
TASK = "3"
"""Version of the task image; increase it when its contents change."""

DEBIAN_SUITE = "bookworm"
"""Later releases contain a systemd that does not boot on cgroup v1 hosts."""
GO = "1.26.8"
"""The Go release that compiles everything; an older or newer `go` fetches it."""

OLDEST_KIND = (0, 33)
"""Older ones do not know the kubeadm of the newest Kubernetes."""
OLDEST_KUBECTL = (1, 28)
