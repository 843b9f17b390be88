"""A stack's cluster as the tests see it: by Docker and by the official Kubernetes client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from tests.support.commandline import Devstack

MINIO = "app.kubernetes.io/name=minio"
SERVICES_NAMESPACE = "devstack"


def node(stack: Devstack, role: str = "control-plane") -> Any:
    """Return the container of one of the stack's nodes."""
    return docker.from_env().containers.get(f"devstack-{stack.name}-{role}")


def api(kubeconfig: Path, context: str | None = None) -> client.ApiClient:
    """Return the official client for a kubeconfig file."""
    return config.new_client_from_config(str(kubeconfig), context)


def admin(stack: Devstack) -> client.ApiClient:
    """Return the official client, as the stack's administrator."""
    return api(stack.directory / "admin.kubeconfig")


def minio_pod(stack: Devstack) -> Any:
    """Return MinIO's pod that is not terminating, or None."""
    pods = client.CoreV1Api(admin(stack)).list_namespaced_pod(
        SERVICES_NAMESPACE, label_selector=MINIO
    )
    live = [pod for pod in pods.items if pod.metadata.deletion_timestamp is None]
    return live[0] if live else None


def answers(stack: Devstack) -> bool:
    """Return True if the stack's API server is ready."""
    try:
        client.CoreV1Api(admin(stack)).list_namespace(_request_timeout=3)
    except (ApiException, HTTPError):
        return False
    return True


def managed_objects(stack: Devstack) -> dict[str, str]:
    """Return the resource version of each object in the cluster that devstack has written."""
    return {
        f"{resource.kind} {item.metadata.get('namespace') or ''}/{item.metadata.name}": (
            item.metadata.resourceVersion
        )
        for resource, item in _managed(stack)
    }


def remove_annotation(stack: Devstack, name: str) -> None:
    """Remove an annotation from each object in the cluster that devstack has written."""
    patch = {"metadata": {"annotations": {name: None}}}
    for resource, item in _managed(stack):
        is_list = resource.kind.endswith("List")
        annotations = item.to_dict()["metadata"].get("annotations") or {}
        if not is_list and name in annotations:
            resource.patch(
                body=patch,
                name=item.metadata.name,
                namespace=item.metadata.get("namespace"),
                content_type="application/merge-patch+json",
            )


def _managed(stack: Devstack) -> Iterator[tuple[Any, Any]]:
    from kubernetes.dynamic import DynamicClient

    dynamic = DynamicClient(admin(stack))
    for resource in dynamic.resources.search():
        if "list" not in (getattr(resource, "verbs", None) or ()) or "/" in resource.name:
            continue
        for item in dynamic.get(resource).items:
            managers = {each["manager"] for each in item.metadata.get("managedFields") or []}
            if "devstack" in managers:
                yield resource, item
