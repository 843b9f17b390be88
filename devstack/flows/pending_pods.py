"""Find pending pods of a run that will never start.

Metaflow polls such a pod without limit; devstack stops the flow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from devstack.flows.gangs import observe_gangs, waits_as_gang
from devstack.flows.pods import TASK_LABELS, is_of_run
from devstack.kube.api_errors import ApiError
from devstack.kube.client import KubeClient, Object
from devstack.kube.conditions import condition_of, has_ended
from devstack.kube.offers import Offers, measure_offers
from devstack.kube.pods import observe_pod
from devstack.kube.quotas import may_fit_quota, quota_has_room
from devstack.kube.scheduling import mentions_volume
from devstack.kube.volumes import first_missing_claim, reachable_nodes
from devstack.pools.taints import is_taint_of_state
from devstack.waits import Clock, Failed, Observation, Waiting

UNSCHEDULABLE_GRACE_PERIOD = 15.0
"""Seconds for which a pod may be unschedulable although nothing will change that."""

_RESOURCES = ("Insufficient", "Too many pods", "free ports")
"""Messages of the scheduler about what the end of other pods makes available."""

_PERMANENT = ("not found", "untolerated taint", "Preemption is not helpful")
"""Messages of the scheduler about what the end of other pods does not change."""

_TAINT = re.compile(r"\{([^}:]+)")
"""The key of an untolerated taint in a message of the scheduler."""

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
        if missing := first_missing_claim(self._kube, filter(_lacks_node, pending)):
            return missing
        in_gangs = [pod for pod in pending if waits_as_gang(pod)]
        # Once for all pods: a wide foreach has a hundred of them.
        offers = measure_offers(self._kube) if any(map(_lacks_node, pending)) else None
        observations = observe_gangs(self._kube, self._namespace, in_gangs, offers)
        observations += [self._observe_pod(pod, offers) for pod in pending if pod not in in_gangs]
        observations += [found for found in [self._forbidden(run_id)] if found]
        for found in observations:
            if isinstance(found, Failed):
                return found
        return next((found for found in observations if isinstance(found, Waiting)), None)

    def _observe_pod(self, pod: Object, offers: Offers | None) -> Observation:
        found = observe_pod(self._kube, pod, offers)
        message = _unschedulable_message(pod)
        if not message:
            return found
        if isinstance(found, Failed) and offers and not offers.shape.has_pools:
            # An autoscaler that devstack does not know may add a node for it.
            return self._after_grace(pod, found, may_change=self._is_scaling_up(pod))
        if isinstance(found, Waiting):
            if offers and (node := self._awaited_node(pod, message, offers)):
                # Once the node is there, the scheduler gets as long as for any other.
                self._waiting_since.pop(pod["metadata"]["name"], None)
                return Waiting(f"{found.reason}; {_describe_awaited(node, offers)}")
            return self._observe_unscheduled(pod, message, found, offers)
        return found

    def _awaited_node(self, pod: Object, message: str, offers: Offers) -> str:
        """Return the node for which a pod waits; empty if it lacks something else."""
        if mentions_volume(message):
            reachable, _ = reachable_nodes(self._kube, pod, offers.nodes)
            offers = replace(offers, nodes=reachable)
        if offers.fits_now(pod) and not _lacks_resources(message):
            return ""
        return offers.may_come(pod)

    def _observe_unscheduled(
        self, pod: Object, message: str, found: Waiting, offers: Offers | None
    ) -> Observation:
        """Return Failed for a pod that will not get a node however long it waits."""
        if _lacks_resources(message):
            reason = f"{found.reason}; no other task is running that could free resources"
            remedy = "request less in @kubernetes or @resources, or add nodes"
        else:
            reason, remedy = found.reason, "create what it names, or change what the step requests"
        failed = Failed(reason, remedy=remedy, code="POD_UNSCHEDULABLE")
        may_change = self._may_be_scheduled(pod, message, offers)
        return self._after_grace(pod, failed, may_change=may_change, waiting=found)

    def _after_grace(
        self, item: Object, failed: Failed, *, may_change: bool, waiting: Waiting | None = None
    ) -> Waiting | Failed:
        """Return Failed once nothing has changed for a while, and nothing will."""
        name = item["metadata"]["name"]
        waiting = waiting or Waiting(
            failed.reason.replace("can never be scheduled", "has no node yet")
        )
        if may_change:
            self._waiting_since.pop(name, None)
            return waiting
        since = self._waiting_since.setdefault(name, self._clock.now())
        return waiting if self._clock.now() - since < UNSCHEDULABLE_GRACE_PERIOD else failed

    def _may_be_scheduled(self, pod: Object, message: str, offers: Offers | None) -> bool:
        if _lacks_resources(message):
            return self._others_hold_resources(offers) or self._is_scaling_up(pod)
        lasting = any(text in message for text in _PERMANENT)
        return not lasting or any(map(is_taint_of_state, _TAINT.findall(message)))

    def _others_hold_resources(self, offers: Offers | None) -> bool:
        if offers and offers.tasks:
            return True
        return self._tasks_hold_resources()

    def _tasks_hold_resources(self) -> bool:
        tasks = self._kube.list_objects("v1", "Pod", self._namespace, labels=TASK_LABELS)
        return any(_holds_resources(other) for other in tasks)

    def _is_scaling_up(self, pod: Object) -> bool:
        of_pod = f"involvedObject.kind=Pod,involvedObject.name={pod['metadata']['name']}"
        events = self._kube.list_objects("v1", "Event", self._namespace, fields=of_pod)
        return any(event.get("reason") in _SCALE_UP_EVENTS for event in events)

    def _forbidden(self, run_id: str) -> Observation | None:
        """Return why the API server rejects a pod of the run: a quota, most often."""
        events = self._kube.list_objects(
            "v1", "Event", self._namespace, fields="reason=FailedCreate,involvedObject.kind=Job"
        )
        waiting: Waiting | None = None
        for event in events:
            job = self._job(event["involvedObject"]["name"])
            if job is None or not is_of_run(job["spec"]["template"], run_id) or _has_pod(job):
                continue
            reason = f"no pod can be created for job {job['metadata']['name']}: {event['message']}"
            failed = Failed(
                reason,
                remedy="request less, or change the quota or policy that forbids it",
                code="POD_FORBIDDEN",
            )
            if not may_fit_quota(event["message"]):
                return failed
            # The Job controller tries again; an event stays for an hour.
            found = self._after_grace(
                job,
                failed,
                may_change=self._quota_may_change(event["message"]),
                waiting=Waiting(f"{reason}; it is tried again as other pods end"),
            )
            if isinstance(found, Failed):
                return found
            waiting = waiting or found
        return waiting

    def _quota_may_change(self, message: str) -> bool:
        """Return True if tasks use a quota that is used up, or it has room again."""
        return self._tasks_hold_resources() or quota_has_room(self._kube, self._namespace, message)

    def _job(self, name: str) -> Object | None:
        try:
            return self._kube.find("batch/v1", "Job", name, self._namespace)
        except ApiError:
            return None


def _has_pod(job: Object) -> bool:
    """Return True for a Job whose pod was created after all."""
    status = job.get("status") or {}
    return any(status.get(name) for name in ("active", "succeeded", "failed"))


def _unschedulable_message(pod: Object) -> str:
    """Return why the scheduler found no node; empty if it has not tried, or found one."""
    condition = condition_of(pod, "PodScheduled")
    unschedulable = condition.get("reason") == "Unschedulable"
    return str(condition.get("message", "")) if unschedulable else ""


def _describe_awaited(node: str, offers: Offers) -> str:
    if offers.is_cordoned(node):
        return f"it fits on {node}, which is cordoned: `{offers.uncordon_command(node)}`"
    return f"it fits on {node} as soon as that is ready"


def _lacks_node(pod: Object) -> bool:
    return not pod["spec"].get("nodeName")


def _lacks_resources(message: str) -> bool:
    return any(text in message for text in _RESOURCES)


def _holds_resources(pod: Object) -> bool:
    return bool(pod["spec"].get("nodeName")) and not has_ended(pod)
