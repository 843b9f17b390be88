"""Find pending pods of a run that will never start.

Metaflow polls such a pod without limit; devstack stops the flow.
"""

from __future__ import annotations

from collections.abc import Sequence

from devstack.flows.gangs import observe_gangs, waits_as_gang
from devstack.flows.pods import TASK_LABELS, is_of_run
from devstack.kube.api_errors import ApiError
from devstack.kube.client import KubeClient, Object
from devstack.kube.offers import Offers, measure_offers
from devstack.kube.pods import observe_pod
from devstack.kube.volumes import missing_claim
from devstack.waits import Clock, Failed, Observation, Waiting

UNSCHEDULABLE_GRACE_PERIOD = 15.0
"""Seconds for which a pod may be unschedulable although nothing will change that."""

_RESOURCES = ("Insufficient", "Too many pods", "free ports")
"""Messages of the scheduler about what the end of other pods makes available."""

_PERMANENT = ("not found", "untolerated taint", "Preemption is not helpful")
"""Messages of the scheduler about what the end of other pods does not change."""

_NODE_TAINT = "node.kubernetes.io/"
"""The taints of a node that is starting, or temporarily unreachable."""

_SCALE_UP_EVENTS = ("TriggeredScaleUp", "Nominated")
"""Events of autoscalers that announce a new node."""


class PendingPods:
    """Observes the pending pods of a run.

    Args:
        kube: reads pods, nodes and events.
        namespace: the namespace of the task pods.
        clock: measures how long a pod has been waiting.
    """

    def __init__(self, kube: KubeClient, namespace: str, clock: Clock) -> None:
        self._kube = kube
        self._namespace = namespace
        self._clock = clock
        self._waiting_since: dict[str, float] = {}

    def observe(self, run_id: str, pods: Sequence[Object]) -> Observation | None:
        """Return the worst observation of the pods that have not started.

        Args:
            run_id: the run.
            pods: the run's pods as the API has them.

        Returns:
            Failed, Waiting with a reason, or None if no pod is waiting.
        """
        pending = [pod for pod in pods if pod.get("status", {}).get("phase") == "Pending"]
        if missing := self._missing_claim(pending):
            return missing
        in_gangs = [pod for pod in pending if waits_as_gang(pod)]
        # Once for all pods: a wide foreach has a hundred of them.
        offers = measure_offers(self._kube) if any(map(_lacks_node, pending)) else None
        observations = observe_gangs(self._kube, self._namespace, in_gangs, offers)
        observations += [self._observe_pod(pod, offers) for pod in pending if pod not in in_gangs]
        for found in [self._forbidden(run_id), *observations]:
            if isinstance(found, Failed):
                return found
        return next((found for found in observations if isinstance(found, Waiting)), None)

    def _missing_claim(self, pending: Sequence[Object]) -> Failed | None:
        """Return the first missing volume claim; the pods of a gang report none."""
        found = (
            missing_claim(self._kube, pod) for pod in pending if not pod["spec"].get("nodeName")
        )
        return next((failed for failed in found if failed), None)

    def _observe_pod(self, pod: Object, offers: Offers | None) -> Observation:
        found = observe_pod(self._kube, pod, offers)
        message = _unschedulable_message(pod)
        if isinstance(found, Waiting) and message:
            if offers and (node := offers.may_come(pod)):
                return Waiting(f"{found.reason}; it fits on {node} as soon as that is ready")
            return self._observe_unscheduled(pod, message, found)
        return found

    def _observe_unscheduled(self, pod: Object, message: str, found: Waiting) -> Observation:
        """Return Failed for a pod that will not get a node however long it waits."""
        name = pod["metadata"]["name"]
        if self._may_be_scheduled(pod, message):
            self._waiting_since.pop(name, None)
            return found
        since = self._waiting_since.setdefault(name, self._clock.now())
        if self._clock.now() - since < UNSCHEDULABLE_GRACE_PERIOD:
            return found
        if _lacks_resources(message):
            return Failed(
                f"{found.reason}; no other task is running that could free resources",
                remedy="request less in @kubernetes or @resources, or add nodes",
                code="POD_UNSCHEDULABLE",
            )
        return Failed(
            found.reason,
            remedy="create what it names, or change what the step requests",
            code="POD_UNSCHEDULABLE",
        )

    def _may_be_scheduled(self, pod: Object, message: str) -> bool:
        if _lacks_resources(message):
            return self._others_hold_resources() or self._is_scaling_up(pod)
        return not any(text in message for text in _PERMANENT) or _NODE_TAINT in message

    def _others_hold_resources(self) -> bool:
        tasks = self._kube.list_objects("v1", "Pod", self._namespace, labels=TASK_LABELS)
        return any(_holds_resources(other) for other in tasks)

    def _is_scaling_up(self, pod: Object) -> bool:
        of_pod = f"involvedObject.kind=Pod,involvedObject.name={pod['metadata']['name']}"
        events = self._kube.list_objects("v1", "Event", self._namespace, fields=of_pod)
        return any(event.get("reason") in _SCALE_UP_EVENTS for event in events)

    def _forbidden(self, run_id: str) -> Failed | None:
        """Return why the API server rejects a pod of the run: a quota, most often."""
        events = self._kube.list_objects(
            "v1", "Event", self._namespace, fields="reason=FailedCreate,involvedObject.kind=Job"
        )
        for event in events:
            job = self._job(event["involvedObject"]["name"])
            if job is not None and is_of_run(job["spec"]["template"], run_id):
                return Failed(
                    f"no pod can be created for job {job['metadata']['name']}: {event['message']}",
                    remedy="request less, or change the quota or policy that forbids it",
                    code="POD_FORBIDDEN",
                )
        return None

    def _job(self, name: str) -> Object | None:
        try:
            return self._kube.find("batch/v1", "Job", name, self._namespace)
        except ApiError:
            return None


def _unschedulable_message(pod: Object) -> str:
    """Return why the scheduler found no node; empty if it has not tried, or found one."""
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return str(condition.get("message", ""))
    return ""


def _lacks_node(pod: Object) -> bool:
    return not pod["spec"].get("nodeName")


def _lacks_resources(message: str) -> bool:
    return any(text in message for text in _RESOURCES)


def _holds_resources(pod: Object) -> bool:
    ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return bool(pod["spec"].get("nodeName")) and not ended
