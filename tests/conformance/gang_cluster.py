"""A cluster with a number of slots, and gangs on it, for the cases of gang scheduling.

A slot is an extended resource of which every pod takes one, so the number of pods
that fit does not depend on what else runs.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

from devstack.kube.client import KubeClient, Object
from devstack.kube.conditions import condition_of
from devstack.kube.gang_support import GangSupport
from devstack.kube.gangs import CONDITION, JOBSET_NAME
from devstack.kube.resources import COSCHEDULING, JOBSET, POD_GROUPS
from tests.support.eventually import eventually

SLOT = "devstack.dev/slot"
GANG = {"devstack.dev/gang": "true"}
METAFLOW = {"app.kubernetes.io/part-of": "metaflow"}


class Nodes(Protocol):
    """Nodes that offer slots, and the pods that take them."""

    def offer(self, slots: int) -> None:
        """Offer ``slots`` slots in all, none of them taken."""
        ...

    def add(self, slots: int) -> None:
        """Offer ``slots`` more."""
        ...

    def pod(self, seconds: float, fails: bool) -> Object:
        """Return the template of a pod that takes a slot and ends after ``seconds``."""
        ...


class GangCluster:
    """A namespace of its own on a cluster whose slots the test sets.

    Args:
        kube: the API, as administrator.
        nodes: the slots.
        support: the mechanism that enforces gang scheduling.
    """

    def __init__(
        self, kube: KubeClient, nodes: Nodes, support: GangSupport = GangSupport.NATIVE
    ) -> None:
        self.kube = kube
        self.nodes = nodes
        self.support = support
        self.namespace = f"gang-{secrets.token_hex(3)}"

    def begin(self) -> None:
        """Create the namespace."""
        self.kube.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        )
        eventually(
            "the service account",
            lambda: bool(self.kube.find("v1", "ServiceAccount", "default", self.namespace)),
        )

    def finish(self) -> None:
        """Delete the namespace, and wait until its pods no longer exist."""
        for jobset in self.kube.list_objects(JOBSET, "JobSet", self.namespace):
            self.delete(jobset["metadata"]["name"])
        self.kube.delete("v1", "Namespace", self.namespace)
        eventually("the pods to go", lambda: not self.pods(), timeout=120)

    def start(
        self,
        name: str,
        pods: int,
        *,
        seconds: float = 2.0,
        labels: Mapping[str, str] = GANG,
        fails: bool = False,
        spec: Mapping[str, Any] | None = None,
        job: Mapping[str, Any] | None = None,
        pod: Mapping[str, Any] | None = None,
    ) -> None:
        """Create a JobSet as Metaflow does: one control pod, workers, started in order.

        Args:
            name: its name.
            pods: how many pods it has in all.
            seconds: how long each of them runs.
            labels: the JobSet's.
            fails: True if the pods end with an error.
            spec: more of the JobSet's spec.
            job: more of the Jobs' spec.
            pod: more of the pods' spec.
        """
        template = self.nodes.pod(seconds, fails)
        template["spec"] |= pod or {}
        jobs = {"backoffLimit": 0, "completions": 1, "parallelism": 1, "template": template}
        jobs |= job or {}
        self.kube.create(
            {
                "apiVersion": JOBSET,
                "kind": "JobSet",
                "metadata": {
                    "name": name,
                    "namespace": self.namespace,
                    "labels": dict(labels),
                },
                "spec": {
                    "startupPolicy": {"startupPolicyOrder": "InOrder"},
                    "replicatedJobs": [
                        {"name": "control", "replicas": 1, "template": {"spec": jobs}},
                        {"name": "worker", "replicas": pods - 1, "template": {"spec": jobs}},
                    ],
                    **(spec or {}),
                },
            }
        )

    def start_pod(self, name: str) -> None:
        """Create a pod without a controller."""
        template = self.nodes.pod(1.0, fails=False)
        metadata = {**template["metadata"], "name": name, "namespace": self.namespace}
        self.kube.create({"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata})

    def jobset(self, name: str) -> Object:
        """Return a JobSet."""
        return self.kube.get(JOBSET, "JobSet", name, self.namespace)

    def delete(self, name: str) -> None:
        """Delete a JobSet."""
        self.kube.delete(JOBSET, "JobSet", name, self.namespace)

    def pods(self, jobset: str = "") -> list[Object]:
        """Return the pods, of one JobSet if it is named."""
        labels = f"{JOBSET_NAME}={jobset}" if jobset else ""
        return self.kube.list_objects("v1", "Pod", self.namespace, labels=labels)

    def bound(self, jobset: str) -> int:
        """Return how many of a JobSet's pods have a node, or had one."""
        return sum(bool(pod["spec"].get("nodeName")) for pod in self.pods(jobset))

    def groups(self) -> list[str]:
        """Return the names of all groups of pods."""
        return [item["metadata"]["name"] for item in self._groups()]

    @property
    def group_api(self) -> str:
        """The group and version of PodGroups."""
        if self.support != GangSupport.NATIVE:
            return COSCHEDULING
        return next(each for each in POD_GROUPS if "PodGroup" in self.kube.kinds(each))

    def group_priority(self, jobset: str) -> int:
        """Return the priority of the gang's group."""
        (found,) = (
            item for item in self._groups() if item["metadata"]["labels"][JOBSET_NAME] == jobset
        )
        return int(found["spec"].get("priority", 0))

    def _groups(self) -> list[Object]:
        return self.kube.list_objects(self.group_api, "PodGroup", self.namespace)

    def reason(self, jobset: str) -> str:
        """Return the reason of the gang's condition."""
        return str(condition_of(self.jobset(jobset), CONDITION).get("reason", ""))

    def message(self, jobset: str) -> str:
        """Return the message of the gang's condition."""
        return str(condition_of(self.jobset(jobset), CONDITION).get("message", ""))

    def events(self, jobset: str) -> set[str]:
        """Return the reasons of all events of a JobSet."""
        fields = f"involvedObject.name={jobset}"
        found = self.kube.list_objects("v1", "Event", self.namespace, fields=fields)
        return {event["reason"] for event in found}

    def completed(self, jobset: str) -> bool:
        """Return True if the JobSet has succeeded."""
        return condition_of(self.jobset(jobset), "Completed").get("status") == "True"

    def await_bound(self, jobset: str, pods: int, timeout: float = 120) -> None:
        """Wait until so many pods of a JobSet have a node."""
        what = f"{pods} pods of {jobset} to have a node"
        eventually(what, lambda: self.bound(jobset) >= pods, timeout)

    def await_reason(self, jobset: str, reason: str, timeout: float = 120) -> None:
        """Wait until the gang's condition has a reason."""
        eventually(f"{jobset} to be {reason}", lambda: self.reason(jobset) == reason, timeout)

    def await_completed(self, *jobsets: str, timeout: float = 300) -> None:
        """Wait until JobSets have succeeded."""
        for jobset in jobsets:
            eventually(f"{jobset} to succeed", lambda: self.completed(jobset), timeout)  # noqa: B023 - awaited at once

    def bind_times(self, jobset: str) -> list[float]:
        """Return when each pod of a JobSet got its node, in whole seconds."""
        stamps = [
            condition["lastTransitionTime"]
            for pod in self.pods(jobset)
            for condition in pod["status"].get("conditions", [])
            if condition["type"] == "PodScheduled" and condition["status"] == "True"
        ]
        return sorted(
            datetime.fromisoformat(each.replace("Z", "+00:00")).timestamp() for each in stamps
        )

    @contextmanager
    def never_in_part(self, seconds: float = 1.0) -> Iterator[None]:
        """Watch all gangs; fail if one is only partly bound for longer than ``seconds``.

        A scheduler binds one pod after another, so a moment is allowed.
        """
        watch = _PartialWatch(self)
        thread = threading.Thread(target=watch.run)
        thread.start()
        try:
            yield
        finally:
            watch.over.set()
            thread.join()
        partial = {gang: spent for gang, spent in watch.longest.items() if spent > seconds}
        assert not partial, f"gangs that had only some of their nodes, for seconds: {partial}"
        assert watch.observations > 1


class _PartialWatch:
    """Observes all gangs repeatedly; records how long each was partly bound."""

    def __init__(self, cluster: GangCluster) -> None:
        self.over = threading.Event()
        self.longest: dict[str, float] = {}
        self.observations = 0
        self._cluster = cluster
        self._since: dict[str, float] = {}
        self._whole: set[str] = set()

    def run(self) -> None:
        """Observe until the context ends."""
        while not self.over.wait(0.1):
            self._observe(self._cluster.pods())
            self.observations += 1

    def _observe(self, pods: list[Object]) -> None:
        now = time.monotonic()
        bound: Counter[str] = Counter()
        sizes: dict[str, int] = {}
        for pod in pods:
            group = _group_of(pod)
            if group:
                sizes[group] = int(pod["metadata"]["labels"]["jobset.sigs.k8s.io/global-replicas"])
                bound[group] += bool(pod["spec"].get("nodeName"))
        # What was whole once may lose pods again, as they end and are deleted.
        self._whole |= {group for group, size in sizes.items() if bound[group] >= size}
        for group, size in sizes.items():
            if group not in self._whole and 0 < bound[group] < size:
                since = self._since.setdefault(group, now)
                self.longest[group] = max(self.longest.get(group, 0.0), now - since)
            else:
                self._since.pop(group, None)


def _group_of(pod: Object) -> str | None:
    """Return the group that a pod names, to Kubernetes itself or to the plug-in."""
    native: dict[str, str] = pod["spec"].get("schedulingGroup") or {}
    labels: dict[str, str] = pod["metadata"].get("labels") or {}
    return native.get("podGroupName") or labels.get("scheduling.x-k8s.io/pod-group")
