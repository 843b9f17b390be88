"""What keeps the pods of a run from starting, where no waiting can help.

Metaflow polls a pod that cannot start for ever; devstack does not.
"""

from __future__ import annotations

from collections.abc import Sequence

from devstack.flows.gangs import observe_gangs, waits_as_gang
from devstack.flows.pods import TASK_LABELS, is_of_run
from devstack.kube.api_errors import ApiError
from devstack.kube.client import KubeClient, Object
from devstack.kube.pods import observe_pod
from devstack.waits import Clock, Failed, Observation, Waiting

PATIENCE_SECONDS = 15.0
"""How long a pod may wait for what will not come by itself, before that is hopeless."""

_ROOM = ("Insufficient", "Too many pods", "free ports")
"""Words of the scheduler's for what other pods may free."""

_LASTING = ("not found", "untolerated taint", "Preemption is not helpful")
"""Words of the scheduler's for what no other pod can free."""

_NODE_AWAY = "node.kubernetes.io/"
"""The taints of a node that starts, or is out of reach for a moment."""

_SCALES_UP = ("TriggeredScaleUp", "Nominated")
"""Events by which a cluster's autoscalers say that a node is on its way."""


class TroubleWatch:
    """Looks for pods that can never start.

    Args:
        kube: reads pods, nodes and events.
        namespace: where the task pods are.
        clock: tells how long a pod has been waiting.
    """

    def __init__(self, kube: KubeClient, namespace: str, clock: Clock) -> None:
        self._kube = kube
        self._namespace = namespace
        self._clock = clock
        self._waiting_since: dict[str, float] = {}

    def look(self, run_id: str, pods: Sequence[Object]) -> Observation | None:
        """Return the worst to be said of the pods of a run that have not started.

        Args:
            run_id: the run.
            pods: the run's pods as the API has them.

        Returns:
            Failed, Waiting with a reason, or None where nothing waits.
        """
        pending = [pod for pod in pods if pod.get("status", {}).get("phase") == "Pending"]
        held = [pod for pod in pending if waits_as_gang(pod)]
        seen = observe_gangs(self._kube, self._namespace, held)
        seen += [self._look_at(pod) for pod in pending if pod not in held]
        refused = self._refused(run_id)
        for found in [refused, *seen]:
            if isinstance(found, Failed):
                return found
        return next((found for found in seen if isinstance(found, Waiting)), None)

    def _look_at(self, pod: Object) -> Observation:
        found = observe_pod(self._kube, pod)
        said = _scheduler_says(pod)
        if isinstance(found, Waiting) and said:
            return self._without_node(pod, said, found)
        return found

    def _without_node(self, pod: Object, said: str, found: Waiting) -> Observation:
        """Give up on a pod for which no node will be free, however long it waits."""
        name = pod["metadata"]["name"]
        if self._node_may_come(pod, said):
            self._waiting_since.pop(name, None)
            return found
        since = self._waiting_since.setdefault(name, self._clock.now())
        if self._clock.now() - since < PATIENCE_SECONDS:
            return found
        if _wants_room(said):
            return Failed(
                f"{found.reason}; no other task is running that could make room",
                remedy="ask for less in @kubernetes or @resources, or give the cluster more room",
                code="POD_UNSCHEDULABLE",
            )
        return Failed(
            found.reason,
            remedy="create what it names, or change what the step asks for",
            code="POD_UNSCHEDULABLE",
        )

    def _node_may_come(self, pod: Object, said: str) -> bool:
        if _wants_room(said):
            return self._is_room_held() or self._is_scaling_up(pod)
        return not any(word in said for word in _LASTING) or _NODE_AWAY in said

    def _is_room_held(self) -> bool:
        everyone = self._kube.list_objects("v1", "Pod", self._namespace, labels=TASK_LABELS)
        return any(_holds_room(other) for other in everyone)

    def _is_scaling_up(self, pod: Object) -> bool:
        of_pod = f"involvedObject.kind=Pod,involvedObject.name={pod['metadata']['name']}"
        events = self._kube.list_objects("v1", "Event", self._namespace, fields=of_pod)
        return any(event.get("reason") in _SCALES_UP for event in events)

    def _refused(self, run_id: str) -> Failed | None:
        """Return why the API server refuses to create a pod of the run: a quota, most often."""
        events = self._kube.list_objects(
            "v1", "Event", self._namespace, fields="reason=FailedCreate,involvedObject.kind=Job"
        )
        for event in events:
            job = self._job(event["involvedObject"]["name"])
            if job is not None and is_of_run(job["spec"]["template"], run_id):
                return Failed(
                    f"no pod can be created for job {job['metadata']['name']}: {event['message']}",
                    remedy="ask for less, or change what forbids it",
                    code="POD_REFUSED",
                )
        return None

    def _job(self, name: str) -> Object | None:
        try:
            return self._kube.find("batch/v1", "Job", name, self._namespace)
        except ApiError:
            return None


def _scheduler_says(pod: Object) -> str:
    """Return why the scheduler finds no node; nothing where it has not looked, or found one."""
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return str(condition.get("message", ""))
    return ""


def _wants_room(said: str) -> bool:
    return any(word in said for word in _ROOM)


def _holds_room(pod: Object) -> bool:
    ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return bool(pod["spec"].get("nodeName")) and not ended
