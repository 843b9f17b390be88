"""The namespaces of the cluster's own pods and of the stack's services."""

from __future__ import annotations

SERVICE_NAMESPACES = (
    "kube-system",
    "local-path-storage",
    "airflow",
    "argo",
    "argo-events",
    "argo-sensors",
    "devstack",
    "gang-system",
    "git",
    "jobset-system",
    "kubeflow",
    "metadata",
    "metrics-server",
    "network-policies",
    "node-agent",
    "postgres",
    "rabbitmq",
    "redis",
    "registry",
)
"""Pods of all other namespaces are those of flows, and come after these for memory and CPUs."""
