"""What keeps a pod from being ready, and whether waiting can help."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from devstack.kube import scheduling
from devstack.kube.api_errors import ApiError
from devstack.kube.client import KubeClient, Object
from devstack.kube.events import last_event
from devstack.kube.volumes import pending_claim
from devstack.waits import Failed, Observation, Ready, Waiting

LOG_LINES = 15
"""How much of a container's log goes with an error."""

BACKOFF_THRESHOLD = 10
"""A program may die twice while the network of a new cluster comes up.

The kubelet then puts it off for ten seconds, the next time for twenty. It forgets
that when it starts; the count of restarts goes on, however often a node is started.
"""

_PULL_FAILURES = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}
)

_BACK_OFF = re.compile(r"back-off (?:(\d+)m)?(\d+)s")


def observe_pod(client: KubeClient, pod: Object) -> Observation:
    """Say whether a pod is ready, and if not, what is in its way.

    Args:
        client: reads the pod's events and logs, and the nodes.
        pod: the pod as the API has it.

    Returns:
        Ready where it is ready or has succeeded; Failed where it cannot be
        scheduled on any node, its image cannot be pulled, it crashes again and
        again, it has failed, or something that it names does not exist;
        otherwise Waiting with the last event and the log's last lines.
    """
    phase = pod.get("status", {}).get("phase", "Pending")
    if phase == "Succeeded" or _condition(pod, "Ready").get("status") == "True":
        return Ready()
    if phase == "Failed":
        return _failed(client, pod)
    unscheduled = _condition(pod, "PodScheduled")
    if unscheduled.get("reason") == "Unschedulable":
        return scheduling.observe_unscheduled(client, pod, unscheduled.get("message", ""))
    for status in _container_statuses(pod):
        if found := _observe_waiting(client, pod, status):
            return found
    return _not_yet(client, pod)


def name_of(pod: Object) -> str:
    """Return a pod's name as messages have it."""
    return f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']}"


def last_lines(client: KubeClient, pod: Object, container: str, *, previous: bool = False) -> str:
    """Return the end of a container's log; nothing where there is none to be had."""
    metadata = pod["metadata"]
    try:
        return client.logs(
            metadata["name"],
            metadata["namespace"],
            container=container,
            tail=LOG_LINES,
            previous=previous,
        )
    except ApiError:
        return ""


def _observe_waiting(client: KubeClient, pod: Object, status: dict[str, Any]) -> Observation | None:
    waiting = status.get("state", {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _PULL_FAILURES:
        return _image_missing(pod, status["image"], message)
    if reason == "CrashLoopBackOff" and _backoff(message) > BACKOFF_THRESHOLD:
        return _crashing(client, pod, status)
    if reason == "CreateContainerConfigError":
        return Failed(
            f"{name_of(pod)} cannot start container {status['name']!r}: {message}",
            remedy="create what it names, or run `devstack up` where it is part of the stack",
            code="POD_CONFIG_MISSING",
        )
    return None


def _backoff(message: str) -> int:
    """Return the seconds in a message such as "back-off 1m20s restarting failed container"."""
    found = _BACK_OFF.search(message)
    if not found:
        return 0
    minutes, seconds = (int(part or 0) for part in found.groups())
    return 60 * minutes + seconds


def _image_missing(pod: Object, image: str, message: str) -> Failed:
    return Failed(
        f"{name_of(pod)} cannot get its image {image}: {message or 'not on the node'}",
        remedy=f"`devstack images list` shows what there is; `devstack images load` brings"
        f" {image} to the nodes, or correct its name",
        code="IMAGE_PULL_FAILED",
    )


def _crashing(client: KubeClient, pod: Object, status: dict[str, Any]) -> Failed:
    ended = status.get("lastState", {}).get("terminated") or {}
    return Failed(
        f"{name_of(pod)} crashes again and again: container {status['name']!r}"
        f" {_ending(ended)}, restarted {status.get('restartCount', 0)} times",
        remedy="read its log's last lines; `devstack logs` has more",
        code="POD_CRASHES",
        output=last_lines(client, pod, status["name"], previous=True),
    )


def _failed(client: KubeClient, pod: Object) -> Failed:
    for status in _container_statuses(pod):
        ended = status.get("state", {}).get("terminated") or {}
        if ended.get("exitCode", 0) != 0:
            return Failed(
                f"{name_of(pod)} failed: container {status['name']!r} {_ending(ended)}",
                code="POD_FAILED",
                output=last_lines(client, pod, status["name"]),
            )
    why = pod["status"].get("message") or pod["status"].get("reason") or "no reason given"
    return Failed(f"{name_of(pod)} failed: {why}", code="POD_FAILED")


def _not_yet(client: KubeClient, pod: Object) -> Waiting:
    metadata = pod["metadata"]
    event = last_event(client, "Pod", metadata["namespace"], metadata["name"])
    for status in _container_statuses(pod):
        if "running" in status.get("state", {}) and not status.get("ready"):
            reason = f"{name_of(pod)}: container {status['name']!r} runs but is not ready"
            tail = last_lines(client, pod, status["name"])
            return Waiting(f"{reason} ({event})" if event else reason, output=tail)
    why = event or pending_claim(client, pod)
    return Waiting(f"{name_of(pod)} is starting" + (f" ({why})" if why else ""))


def _container_statuses(pod: Object) -> Iterator[dict[str, Any]]:
    status = pod.get("status", {})
    yield from status.get("initContainerStatuses", [])
    yield from status.get("containerStatuses", [])


def _condition(pod: Object, kind: str) -> dict[str, Any]:
    for condition in (pod.get("status") or {}).get("conditions") or []:
        if condition["type"] == kind:
            found: dict[str, Any] = condition
            return found
    return {}


def _ending(ended: dict[str, Any]) -> str:
    reason = ended.get("reason", "")
    code = f"ended with status {ended.get('exitCode', '?')}"
    return code if reason in ("", "Error") else f"{code} ({reason})"
