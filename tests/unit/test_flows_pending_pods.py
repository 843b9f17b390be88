from __future__ import annotations

import pytest

from devstack.flows.pending_pods import UNSCHEDULABLE_GRACE_PERIOD, PendingPods
from devstack.kube.client import Object
from devstack.kube.pool_nodes import STARTING_TAINT, build_node, build_taint
from devstack.kube.shape import Shape, build_shape
from devstack.pools.nodes import pool_nodes
from devstack.pools.settings import PoolSettings
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


def with_pools(*addable: Object) -> Object:
    return build_shape(
        Shape(True, 2, 1 << 34, {each["metadata"]["name"]: each for each in addable})
    )


def burst_node() -> Object:
    (spec,) = pool_nodes([PoolSettings(name="burst", cpu=8, memory="8Gi", labels={"team": "a"})])
    return build_node("burst-0", spec)


def observe_twice(watch: PendingPods, clock: FakeClock, *pods: Object) -> Observation | None:
    watch.observe(RUN, pods)
    clock.sleep(UNSCHEDULABLE_GRACE_PERIOD)
    return watch.observe(RUN, pods)


def test_running_pods_are_ignored(watch: PendingPods) -> None:
    assert watch.observe(RUN, [task_pod("t-1"), task_pod("t-2", phase="Failed")]) is None


def test_a_pod_larger_than_any_node_fails_immediately(watch: PendingPods, api: FakeApi) -> None:
    api.add(node("2"), with_pools())
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


def test_of_other_clusters_only_an_autoscaler_knows_what_may_come(
    watch: PendingPods, api: FakeApi, clock: FakeClock
) -> None:
    """Larger than any node, or than what Deployments leave of one: Karpenter adds a node."""
    large = unschedulable_pod("t-1", FULL, cpu="8")
    api.add(node("2"))
    found = watch.observe(RUN, [large])
    assert isinstance(found, Waiting)
    assert "has no node yet" in found.reason
    clock.sleep(UNSCHEDULABLE_GRACE_PERIOD)
    assert isinstance(watch.observe(RUN, [large]), Failed)
    scaling = event("t-1", "Nominated", "to nodeclaim/x", "2026-11-21T12:00:00Z", kind="Normal")
    scaling["metadata"]["namespace"] = NAMESPACE
    api.add(scaling)
    assert isinstance(watch.observe(RUN, [large]), Waiting)


def test_what_deployments_use_on_other_clusters_does_not_make_a_pod_too_large(
    watch: PendingPods, api: FakeApi, clock: FakeClock
) -> None:
    web = task_pod("web", node="node", cpu="1900m")
    web["metadata"]["labels"] = {}
    tainted = node("2")
    tainted["spec"] = {"taints": [{"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}]}
    api.add(tainted, web, task_pod("t-0", node="node"))
    message = "0/1 nodes are available: 1 node(s) had untolerated taint {karpenter.sh/disrupted: }"
    for text in (FULL, message):
        assert isinstance(observe_twice(watch, clock, unschedulable_pod("t-1", text)), Waiting)


def test_a_pod_waits_while_the_node_that_a_pool_adds_is_joining(
    watch: PendingPods, api: FakeApi, clock: FakeClock
) -> None:
    """When a node registers, it has neither the labels nor the devices of its pool."""
    joining = node("8")
    joining["metadata"] = {"name": "burst-0", "labels": {"devstack.dev/pool": "burst"}}
    joining["spec"] = {"taints": [build_taint(STARTING_TAINT)]}
    api.add(node("2"), joining, with_pools(burst_node()))
    pod = unschedulable_pod("t-1", FULL, cpu="4")
    pod["spec"]["nodeSelector"] = {"team": "a"}
    found = observe_twice(watch, clock, pod)
    assert isinstance(found, Waiting)
    assert "it fits on burst-0 as soon as that is ready" in found.reason


@pytest.mark.parametrize("of_job", [True, False])
def test_a_pod_waits_for_tasks_of_airflow(
    watch: PendingPods, api: FakeApi, clock: FakeClock, *, of_job: bool
) -> None:
    """The KubernetesPodOperator creates pods that belong to no Job."""
    other = task_pod("t-0", node="node", cpu="1500m")
    other["metadata"]["labels"] = {"batch.kubernetes.io/job-name": "t-0"} if of_job else {}
    other["spec"]["restartPolicy"] = "Never"
    api.add(node("2"), with_pools(), other)
    pod = unschedulable_pod("t-1", FULL, cpu="1500m")
    assert isinstance(observe_twice(watch, clock, pod), Waiting)


def mounting_pod(message: str) -> Object:
    pod = unschedulable_pod("t-1", message)
    claim = {"persistentVolumeClaim": {"claimName": "data"}}
    pod["spec"]["volumes"] = [{"name": "data", **claim}]
    return pod


def volume_on(host: str) -> tuple[Object, Object]:
    metadata = {"name": "data", "namespace": NAMESPACE}
    terms = [
        {
            "matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}
            ]
        }
    ]
    claim = {"metadata": metadata, "spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}}
    spec = {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}
    return (
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim},
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": spec},
    )


VOLUME = (
    "0/1 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity."
    " preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)


def test_a_volume_of_a_node_that_is_gone_is_not_awaited(watch: PendingPods, api: FakeApi) -> None:
    api.add(node("2"), with_pools(burst_node()), *volume_on("removed-0"))
    found = watch.observe(RUN, [mounting_pod(VOLUME)])
    assert isinstance(found, Failed)
    assert "the volume of its claim 'data' is on a node that does not exist any more" in (
        found.reason
    )
    assert "devstack pvc delete data" in found.remedy


def test_a_volume_of_a_node_that_comes_back_is_awaited(
    watch: PendingPods, api: FakeApi, clock: FakeClock
) -> None:
    api.add(node("2"), with_pools(burst_node()), *volume_on("burst-0"))
    assert isinstance(observe_twice(watch, clock, mounting_pod(VOLUME)), Waiting)


def test_a_pod_that_fits_but_for_something_else_does_not_wait_for_a_pool(
    watch: PendingPods, api: FakeApi, clock: FakeClock
) -> None:
    api.add(node("2"), with_pools(burst_node()))
    message = (
        "0/1 nodes are available: 1 node(s) didn't match pod affinity rules. preemption:"
        " 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )
    found = observe_twice(watch, clock, unschedulable_pod("t-1", message))
    assert isinstance(found, Failed)
    assert "pod affinity rules" in found.reason


def test_a_node_that_is_cordoned_is_named_with_the_command(
    watch: PendingPods, api: FakeApi
) -> None:
    cordoned = node("8")
    cordoned["spec"] = {"unschedulable": True}
    api.add(cordoned, with_pools())
    found = watch.observe(RUN, [unschedulable_pod("t-1", "1 node(s) were unschedulable")])
    assert isinstance(found, Waiting)
    assert "it fits on node, which is cordoned: `devstack node restore node`" in found.reason


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


def refused(job_name: str, message: str = "exceeded quota: pods=4") -> Object:
    refusal = event(job_name, "FailedCreate", message, "2026-11-21T12:00:00Z")
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


def exceeded(requested: str, limited: str) -> str:
    parts = f"requested: {requested}, used: {limited}, limited: {limited}"
    return f'Error creating: pods "t-1-x" is forbidden: exceeded quota: team, {parts}'


def test_a_quota_that_others_use_up_for_now_is_awaited(watch: PendingPods, api: FakeApi) -> None:
    message = exceeded("pods=1,requests.cpu=500m", "pods=10,requests.cpu=4")
    api.add(job("t-1"), refused("t-1", message), task_pod("t-0", node="node"))
    found = watch.observe(RUN, [])
    assert isinstance(found, Waiting)
    assert "exceeded quota: team" in found.reason


def test_a_pod_larger_than_its_quota_fails(watch: PendingPods, api: FakeApi) -> None:
    api.add(job("t-1"), refused("t-1", exceeded("requests.cpu=4", "requests.cpu=2")))
    assert isinstance(watch.observe(RUN, []), Failed)


def test_a_job_whose_pod_was_created_after_all_is_not_forbidden(
    watch: PendingPods, api: FakeApi
) -> None:
    created = job("t-1")
    created["status"] = {"active": 1}
    api.add(created, refused("t-1"))
    assert watch.observe(RUN, []) is None


@pytest.mark.parametrize(("used", "kind"), [("9", Waiting), ("10", Failed)])
def test_a_quota_that_no_task_uses_has_room_again_or_fails(
    watch: PendingPods, api: FakeApi, clock: FakeClock, used: str, kind: type[Observation]
) -> None:
    api.add(job("t-1"), refused("t-1", exceeded("pods=1", "pods=10")))
    metadata = {"name": "team", "namespace": NAMESPACE}
    status = {"hard": {"pods": "10"}, "used": {"pods": used}}
    api.add({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "status": status})
    assert isinstance(watch.observe(RUN, []), Waiting)
    assert isinstance(observe_twice(watch, clock), kind)


def test_after_a_node_has_come_the_scheduler_gets_its_time(
    watch: PendingPods, api: FakeApi, clock: FakeClock
) -> None:
    message = (
        "0/1 nodes are available: 1 node(s) had untolerated taint(s). Preemption is not helpful"
    )
    pod = unschedulable_pod("t-1", message)
    api.add(node("2"), with_pools())
    assert isinstance(watch.observe(RUN, [pod]), Waiting)
    starting = node("2")
    starting["spec"] = {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}]}
    api.add(starting)
    clock.sleep(60)
    assert isinstance(watch.observe(RUN, [pod]), Waiting)
    api.add(node("2"))
    assert isinstance(watch.observe(RUN, [pod]), Waiting)
