"""The one place that says which version of what devstack runs."""

from __future__ import annotations

KUBERNETES = "v1.36.3"
CONTAINERD = "v2.3.7"
KIND = "v0.33.0"
JOBSET = "v0.12.0"
GANG = "v1"
"""devstack's own controller; raise it when what it does to a cluster changes."""
PROVISIONER = "v1"
"""devstack's own provisioner of volumes; raise it when what it does to a cluster changes."""
MINIO = "RELEASE.2025-09-07T16-13-09Z"
"""The last release of which upstream published an image; built from the same commit."""

POSTGRES = "15"
"""Major version: Debian bookworm's."""

# What `kubeadm config images list` of this Kubernetes names.
COREDNS = "v1.14.2"
ETCD = "3.6.8-0"
PAUSE = "3.10.2"

AIRFLOW = "2.11.2"
"""The last series that Metaflow's DAG files run on; sources/airflow/requirements.in has more."""
AIRFLOW_RECIPE = "1"
"""Raise it when the Airflow image changes in other ways."""
METADATA = "1"
"""devstack's own metadata service; raise it when what it answers changes."""
XCOM = "1"
"""Version of the image that hands a task's result to Airflow."""
BUSYBOX = "1.36.1"
"""The release of upstream's image, which is pulled where the xcom image is not built."""

TASK_PYTHON = "3.11"
"""Minor version of Python in the task image: Debian bookworm's."""
TASK = "1"
"""Version of the task image's recipe; raise it when its contents change."""

DEBIAN_SUITE = "bookworm"
"""Later ones bring a systemd that no longer boots on cgroup v1 hosts."""
GO = "1.26.8"
"""The Go release that compiles everything; an older or newer `go` fetches it."""

OLDEST_KIND = (0, 33)
"""Older ones do not know Kubernetes 1.36's kubeadm."""
OLDEST_KUBECTL = (1, 28)
