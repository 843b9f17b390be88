"""Why a pod is not ready, and whether it can still become ready."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from devstack.kube import scheduling
from devstack.kube.api_errors import ApiError
from devstack.kube.client import KubeClient, Object
from devstack.kube.conditions import condition_of, is_ready
from devstack.kube.events import last_event
from devstack.kube.offers import Offers
from devstack.kube.pull_failures import with_advice
from devstack.kube.volumes import pending_claim
from devstack.waits import Failed, Observation, Ready, Waiting

LOG_LINES = 15
"""The number of log lines in an error."""

BACKOFF_THRESHOLD = 10
"""Seconds of back-off above which a container counts as crashing.

A program may fail twice while the network of a new cluster starts; the back-off is
then ten seconds, the next time twenty. A restart of the kubelet resets the back-off,
but not the count of restarts.
"""

_PULL_FAILURES = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}
)

_START_FAILURES = frozenset({"CreateContainerError", "RunContainerError"})
"""Reasons for which the kubelet tries to start a container again without limit."""

_BACK_OFF = re.compile(r"back-off (?:(\d+)m)?(\d+)s")

_MISSING_CONFIG = re.compile(r'(secret|configmap) "([^"]+)" not found')


_OWN = "devstack/"
"""Begins the names of the stack's own images, which are on every node."""


@dataclass(frozen=True)
class ImagePullFailed(Failed):
    """A container's image cannot be pulled and is not on the node.

    Attributes:
        image: the image, as the pod names it.
        always: True if the kubelet has to pull it although it may be on the node.
    """

    code: str = "IMAGE_PULL_FAILED"
    image: str = ""
    always: bool = False


def observe_pod(client: KubeClient, pod: Object, offers: Offers | None = None) -> Observation:
    """Return whether a pod is ready, and if not, why.

    Args:
        client: reads the pod's events and logs, and the nodes.
        pod: the pod as the API has it.
        offers: what the nodes offer, if it is known already.

    Returns:
        Ready if it is ready or has succeeded; Failed if no node can run it, its
        image cannot be pulled, it crashes repeatedly, it has failed, or something
        that it names does not exist; otherwise Waiting with the last event and the
        last lines of its log.
    """
    phase = pod.get("status", {}).get("phase", "Pending")
    if phase == "Succeeded" or is_ready(pod):
        return Ready()
    if phase == "Failed":
        return _failed(client, pod)
    unscheduled = condition_of(pod, "PodScheduled")
    if unscheduled.get("reason") == "Unschedulable":
        message = unscheduled.get("message", "")
        return scheduling.observe_unscheduled(client, pod, message, offers)
    for status in _container_statuses(pod):
        if found := _observe_waiting(client, pod, status):
            return found
    return _describe_waiting(client, pod)


def name_of(pod: Object) -> str:
    """Return a pod's name as messages show it."""
    return f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']}"


def last_lines(client: KubeClient, pod: Object, container: str, *, previous: bool = False) -> str:
    """Return the last lines of a container's log; empty if it cannot be read."""
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


def _config_remedy(pod: Object, message: str) -> str:
    create = "create what it names"
    if missing := _MISSING_CONFIG.search(message):
        kind = "configmap" if missing[1] == "configmap" else "secret generic"
        command = f"create {kind} {missing[2]} -n {pod['metadata']['namespace']}"
        create = f"`devstack kubectl --admin {command} --from-literal=NAME=VALUE` creates it"
    return f"{create}; or run `devstack up` if it is part of the stack"


def _observe_waiting(client: KubeClient, pod: Object, status: dict[str, Any]) -> Observation | None:
    waiting = status.get("state", {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _PULL_FAILURES:
        return _image_missing(pod, status["name"], status["image"], message)
    if reason == "CrashLoopBackOff" and _backoff(message) > BACKOFF_THRESHOLD:
        return _crashing(client, pod, status)
    if reason == "CreateContainerConfigError":
        return Failed(
            f"{name_of(pod)} cannot start container {status['name']!r}: {message}",
            remedy=_config_remedy(pod, message),
            code="POD_CONFIG_MISSING",
        )
    if reason in _START_FAILURES:
        return Failed(
            f"{name_of(pod)} cannot start container {status['name']!r}: {reason}: {message}",
            remedy="check its image, its volumes and its command",
            code="POD_NOT_STARTED",
        )
    return None


def _backoff(message: str) -> int:
    """Return the seconds in a message such as "back-off 1m20s restarting failed container"."""
    found = _BACK_OFF.search(message)
    if not found:
        return 0
    minutes, seconds = (int(part or 0) for part in found.groups())
    return 60 * minutes + seconds


def _image_missing(pod: Object, container: str, image: str, message: str) -> ImagePullFailed:
    always = _pull_policy(pod, container) == "Always"
    reason = f"{name_of(pod)} cannot get its image {image}: {message or 'not on the node'}"
    if always:
        reason = (
            f"{name_of(pod)} has the imagePullPolicy Always, so the node pulls its image {image}"
            f" even if it has it, and no registry provides it: {message}"
        )
    remedy = _remedy(image, always=always)
    if not image.startswith(_OWN):
        remedy = with_advice(remedy, image, message)
    return ImagePullFailed(reason, remedy, image=image, always=always)


def _remedy(image: str, *, always: bool) -> str:
    if "@" in image:
        return (
            "only a registry provides an image by its digest: name it by a tag, and add that with"
            " `devstack images add NAME:TAG`"
        )
    add = f"`devstack images add {image}` puts an image of this machine on the nodes"
    if not always:
        return f"{add}; or correct its name. `devstack images list` shows what they have"
    policy = 'remove image_pull_policy from @kubernetes, or set it to "IfNotPresent"'
    if image.startswith(_OWN):
        return policy
    if ":" in image.rpartition("/")[2] and not image.endswith(":latest"):
        return f"{policy}; if the nodes lack it, {add}"
    # Kubernetes' own default for this tag, and devstack's if the image was not added.
    return (
        f"{add}, and the flow's next run or deployment uses it; if that does not,"
        ' set image_pull_policy="IfNotPresent" in @kubernetes, or use another tag'
    )


def _pull_policy(pod: Object, container: str) -> str:
    spec = pod.get("spec", {})
    for each in [*spec.get("initContainers", []), *spec.get("containers", [])]:
        if each.get("name") == container:
            return str(each.get("imagePullPolicy", ""))
    return ""


def _crashing(client: KubeClient, pod: Object, status: dict[str, Any]) -> Failed:
    ended = status.get("lastState", {}).get("terminated") or {}
    return Failed(
        f"{name_of(pod)} crashes repeatedly: container {status['name']!r}"
        f" {_ending(ended)}, restarted {status.get('restartCount', 0)} times",
        remedy="see the last lines of its log; `devstack logs` shows more",
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


def _describe_waiting(client: KubeClient, pod: Object) -> Waiting:
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


def _ending(ended: dict[str, Any]) -> str:
    reason = ended.get("reason", "")
    code = f"ended with status {ended.get('exitCode', '?')}"
    return code if reason in ("", "Error") else f"{code} ({reason})"
