"""The events of an object."""

from __future__ import annotations

from devstack.kube.api_errors import ApiError
from devstack.kube.client import KubeClient, Object


def last_event(client: KubeClient, kind: str, namespace: str, name: str) -> str:
    """Return the last warning about an object, else its last event, else an empty string.

    Args:
        client: the API; may lack the permission to read events.
        kind: such as ``Pod``.
        namespace: the object's namespace.
        name: its name.

    Returns:
        Such as ``FailedMount: secret "x" not found``.
    """
    selector = f"involvedObject.kind={kind},involvedObject.name={name}"
    try:
        events = client.list_objects("v1", "Event", namespace, fields=selector)
    except ApiError:
        return ""
    if not events:
        return ""
    newest = max(events, key=lambda event: (event.get("type") == "Warning", _timestamp(event)))
    return f"{newest.get('reason', '')}: {newest.get('message', '')}"


def _timestamp(event: Object) -> str:
    # All are RFC 3339 in UTC, so they sort as text.
    stamp = event.get("lastTimestamp") or event.get("eventTime")
    return stamp or event["metadata"].get("creationTimestamp") or ""
