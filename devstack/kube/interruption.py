"""The notice that precedes the end of a spot instance, as an annotation of its node.

The node agent serves it to the node's pods where EC2 does:
http://169.254.169.254/latest/meta-data/spot/termination-time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timezone

from devstack.kube.client import KubeClient, Object
from devstack.kube.drain import delete_pod, evictable_pods, full_name, not_ended
from devstack.kube.times import format_time
from devstack.pools.settings import SPOT_LABEL
from devstack.waits import Clock, Observation, Ready, Waiting, wait_until

TERMINATION_ANNOTATION = "devstack.dev/spot-termination-time"
"""The time in the form of RFC 3339; node-agent reads it."""

_GRACE_SECONDS, _FORCED_AFTER = 2, 6
"""A reclaimed machine does not wait for its pods: what they get to end, and when those that
have not ended are no longer waited for."""


def is_spot(node: Object) -> bool:
    """Return True if a node is one of a spot pool."""
    return bool((node["metadata"].get("labels") or {}).get(SPOT_LABEL) == "spot")


def announce_interruption(client: KubeClient, node: str, when: datetime) -> str:
    """Cordon a node, and give its pods the notice; return the time as they see it.

    Args:
        client: writes the node.
        node: the node's name.
        when: the time at which it is to end, with a time zone.
    """
    text = format_time(when)
    _write(client, node, text, unschedulable=True)
    return text


def withdraw_interruption(client: KubeClient, node: str) -> None:
    """Remove the notice, and uncordon the node."""
    _write(client, node, None, unschedulable=None)


def was_interrupted(node: Object) -> bool:
    """Return True if a node has a notice whose time is over."""
    notice = (node["metadata"].get("annotations") or {}).get(TERMINATION_ANNOTATION, "")
    # Times in this form are in the order of their texts.
    return bool(notice) and notice <= format_time(datetime.now(timezone.utc))


def withdraw_past_interruptions(client: KubeClient, nodes: Iterable[str]) -> None:
    """Take nodes back that were interrupted and run again."""
    for name in nodes:
        if was_interrupted(client.get("v1", "Node", name)):
            withdraw_interruption(client, name)


def _write(
    client: KubeClient, node: str, notice: str | None, *, unschedulable: bool | None
) -> None:
    annotations = {TERMINATION_ANNOTATION: notice}
    changes = {"metadata": {"annotations": annotations}, "spec": {"unschedulable": unschedulable}}
    client.patch("v1", "Node", node, changes)


def end_pods(
    client: KubeClient, node: str, *, clock: Clock, note: Callable[[str], None] | None = None
) -> list[str]:
    """Delete a node's pods, but for those of DaemonSets; return their names.

    Disruption budgets do not count, and pods get seconds to end: the machine goes away.

    Args:
        client: deletes the pods.
        node: the node's name.
        clock: measures how long they take.
        note: called with what is waited for.
    """
    pods = evictable_pods(client, node)
    for pod in pods:
        delete_pod(client, pod, _GRACE_SECONDS)
    deadline = clock.now() + _FORCED_AFTER

    def observe() -> Observation:
        left = evictable_pods(client, node)
        if left and clock.now() >= deadline:
            for pod in left:
                delete_pod(client, pod, 0)
        return Waiting(not_ended(left)) if left else Ready()

    what = f"the pods of node {node} to end"
    wait_until(observe, what=what, timeout=5 * _FORCED_AFTER, clock=clock, note=note)
    return sorted(full_name(pod) for pod in pods)
