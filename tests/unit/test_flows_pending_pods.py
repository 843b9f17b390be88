from __future__ import annotations

import pytest

from devstack.flows.pending_pods import UNSCHEDULABLE_GRACE_PERIOD, PendingPods
from devstack.kube.client import Object
from devstack.waits import Failed, Observation, Waiting
from tests.fakes.api import FakeApi, event
from tests.fakes.runner import FakeClock
from tests.support.task_objects import NAMESPACE, RUN, job, task_pod, unschedulable_pod

FULL = "0/1 nodes are available: 1 Insufficient cpu."


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def watch(api: FakeApi, clock: FakeClock) -> PendingPods:
    return PendingPods(api.client(), NAMESPACE, clock)


def node(cpu: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "node"},
        "status": {"allocatable": {"cpu": cpu, "pods": "110"}},
    }


def observe_twice(watch: PendingPods, clock: FakeClock, *pods: Object) -> Observation | None:
    watch.observe(RUN, pods)
    clock.sleep(UNSCHEDULABLE_GRACE_PERIOD)
    return watch.observe(RUN, pods)


def test_running_pods_are_ignored(watch: PendingPods) -> None:
    assert watch.observe(RUN, [task_pod("t-1"), task_pod("t-2", phase="Failed")]) is None


def test_a_pod_larger_than_any_node_fails_immediately(watch: PendingPods, api: FakeApi) -> None:
    api.add(node("2"))
    observation = watch.observe(RUN, [unschedulable_pod("t-1", FULL, cpu="8")])
    assert isinstance(observation, Failed)
    assert observation.code == "POD_UNSCHEDULABLE"
    assert "offers 2 cpu (8 requested)" in observation.reason


def test_a_pod_waits_for_resources_that_another_task_holds(
    watch: PendingPods, api: FakeApi, clock: FakeClock
) -> None:
    api.add(node("2"), task_pod("t-0", node="node"))
    assert isinstance(observe_twice(watch, clock, unschedulable_pod("t-1", FULL)), Waiting)


def test_a_pod_does_not_wait_for_resources_that_no_task_holds(
    watch: PendingPods, api: FakeApi, clock: FakeClock
) -> None:
    api.add(node("2"), task_pod("t-0", node="node", phase="Succeeded"))
    pod = unschedulable_pod("t-1", FULL)
    assert isinstance(watch.observe(RUN, [pod]), Waiting)
    clock.sleep(UNSCHEDULABLE_GRACE_PERIOD)
    observation = watch.observe(RUN, [pod])
    assert isinstance(observation, Failed)
    assert "Insufficient cpu" in observation.reason


def test_a_pod_waits_for_a_node_that_an_autoscaler_adds(
    watch: PendingPods, api: FakeApi, clock: FakeClock
) -> None:
    scaling = event("t-1", "TriggeredScaleUp", "1->2", "2026-11-21T12:00:00Z", kind="Normal")
    scaling["metadata"]["namespace"] = NAMESPACE
    api.add(node("2"), scaling)
    assert isinstance(observe_twice(watch, clock, unschedulable_pod("t-1", FULL)), Waiting)


@pytest.mark.parametrize(
    "message",
    [
        '0/1 nodes are available: persistentvolumeclaim "data" not found.',
        "0/1 nodes are available: 1 node(s) had untolerated taint(s) {gpu: only}.",
    ],
)
def test_a_pod_does_not_wait_for_what_no_task_can_free(
    watch: PendingPods, api: FakeApi, clock: FakeClock, message: str
) -> None:
    api.add(node("2"), task_pod("t-0", node="node"))
    observation = observe_twice(watch, clock, unschedulable_pod("t-1", message))
    assert isinstance(observation, Failed)
    assert message in observation.reason


@pytest.mark.parametrize(
    "message",
    [
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
        "0/1 nodes: 1 node(s) had untolerated taint(s) {node.kubernetes.io/not-ready}.",
    ],
)
def test_a_pod_waits_for_nodes_that_are_starting(
    watch: PendingPods, api: FakeApi, clock: FakeClock, message: str
) -> None:
    api.add(node("2"))
    assert isinstance(observe_twice(watch, clock, unschedulable_pod("t-1", message)), Waiting)


def test_an_image_that_cannot_be_pulled_fails_immediately(watch: PendingPods) -> None:
    state = {"waiting": {"reason": "ErrImagePull", "message": "no such host"}}
    status = {"name": "work", "image": "nowhere/x:1", "state": state}
    observation = watch.observe(RUN, [task_pod("t-1", phase="Pending", containerStatuses=[status])])
    assert isinstance(observation, Failed)
    assert observation.code == "IMAGE_PULL_FAILED"
    assert "nowhere/x:1" in observation.reason


def refused(job_name: str) -> Object:
    refusal = event(job_name, "FailedCreate", "exceeded quota: pods=4", "2026-11-21T12:00:00Z")
    refusal["metadata"]["namespace"] = NAMESPACE
    refusal["involvedObject"]["kind"] = "Job"
    return refusal


def test_a_pod_that_may_not_be_created_fails(watch: PendingPods, api: FakeApi) -> None:
    api.add(job("t-1"), refused("t-1"))
    observation = watch.observe(RUN, [])
    assert isinstance(observation, Failed)
    assert observation.code == "POD_FORBIDDEN"
    assert "exceeded quota: pods=4" in observation.reason


def test_forbidden_pods_of_other_runs_are_ignored(watch: PendingPods, api: FakeApi) -> None:
    api.add(job("t-1", run_id="17"), refused("t-1"), refused("t-2"))
    assert watch.observe(RUN, []) is None
