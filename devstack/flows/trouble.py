"""What keeps the pods of a run from starting, where no waiting can help.

Metaflow polls a pod that cannot start for ever; devstack does not.
"""

from __future__ import annotations

from collections.abc import Sequence

from devstack.flows.pods import TASK_LABELS, is_of_run
from devstack.kube.api_errors import ApiError
from devstack.kube.client import KubeClient, Object
from devstack.kube.pods import last_event, observe_pod
from devstack.waits import Clock, Hopeless, Observation, Waiting

ROOM_SECONDS = 15.0
"""How long a pod waits for room while no other task holds any, before that is hopeless."""

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
        self._without_room: dict[str, float] = {}

    def look(self, run_id: str, pods: Sequence[Object]) -> Observation | None:
        """Return the worst to be said of the pods of a run that have not started.

        Args:
            run_id: the run.
            pods: the run's pods as the API has them.

        Returns:
            Hopeless, Waiting with a reason, or None where nothing waits.
        """
        pending = [pod for pod in pods if pod.get("status", {}).get("phase") == "Pending"]
        seen = [self._look_at(pod) for pod in pending]
        refused = self._refused(run_id)
        for found in [refused, *seen]:
            if isinstance(found, Hopeless):
                return found
        return next((found for found in seen if isinstance(found, Waiting)), None)

    def _look_at(self, pod: Object) -> Observation:
        found = observe_pod(self._kube, pod)
        if isinstance(found, Waiting) and _is_unschedulable(pod):
            return self._lack_of_room(pod, found)
        return found

    def _lack_of_room(self, pod: Object, found: Waiting) -> Observation:
        """Give up on a pod that waits for room which no other task will ever free."""
        name = pod["metadata"]["name"]
        if self._room_may_come(pod):
            self._without_room.pop(name, None)
            return found
        since = self._without_room.setdefault(name, self._clock.now())
        if self._clock.now() - since < ROOM_SECONDS:
            return found
        return Hopeless(
            f"{found.reason}; no other task is running that could make room",
            remedy="ask for less in @kubernetes or @resources, or give the cluster more room",
            code="POD_UNSCHEDULABLE",
        )

    def _room_may_come(self, pod: Object) -> bool:
        everyone = self._kube.list_objects("v1", "Pod", self._namespace, labels=TASK_LABELS)
        if any(_holds_room(other) for other in everyone):
            return True
        return any(last_event(self._kube, pod).startswith(reason) for reason in _SCALES_UP)

    def _refused(self, run_id: str) -> Hopeless | None:
        """Return why the API server refuses to create a pod of the run: a quota, most often."""
        events = self._kube.list_objects(
            "v1", "Event", self._namespace, fields="reason=FailedCreate,involvedObject.kind=Job"
        )
        for event in events:
            job = self._job(event["involvedObject"]["name"])
            if job is not None and is_of_run(job["spec"]["template"], run_id):
                return Hopeless(
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


def _is_unschedulable(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(
        condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable"
        for condition in conditions
    )


def _holds_room(pod: Object) -> bool:
    ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return bool(pod["spec"].get("nodeName")) and not ended
