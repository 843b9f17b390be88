"""Volume claims of a pod that are not bound."""

from __future__ import annotations

from devstack.kube.api_errors import ApiError
from devstack.kube.client import KubeClient, Object
from devstack.kube.events import last_event


def pending_claim(client: KubeClient, pod: Object) -> str:
    """Return why the first unbound volume claim of a pod is unbound, or an empty string.

    A pod whose volume is being created has no event and no condition that shows it.
    """
    for name in _claim_names(pod):
        namespace = pod["metadata"]["namespace"]
        try:
            claim = client.find("v1", "PersistentVolumeClaim", name, namespace)
        except ApiError:
            continue
        if claim is None:
            return f"volume claim {namespace}/{name} does not exist"
        if claim.get("status", {}).get("phase") != "Bound":
            event = last_event(client, "PersistentVolumeClaim", namespace, name)
            return f"volume claim {namespace}/{name} is not bound" + (
                f" ({event})" if event else ""
            )
    return ""


def _claim_names(pod: Object) -> list[str]:
    volumes = pod["spec"].get("volumes", [])
    claims = [volume.get("persistentVolumeClaim") for volume in volumes]
    return [claim["claimName"] for claim in claims if claim]
