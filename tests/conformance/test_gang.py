"""The contract of gang scheduling, on every kind of node."""

from __future__ import annotations

import time

import pytest

from devstack.kube.api_errors import NotFoundError
from devstack.kube.client import Object
from devstack.kube.resources import JOBSET, POD_GROUPS
from devstack.providers.kind.scheduler import SCHEDULER
from devstack.why.explain import explain
from devstack.why.subject import find_subject
from tests.conformance.conftest import Scale, Target
from tests.conformance.gang_cluster import METAFLOW, SLOT, GangCluster
from tests.support.eventually import eventually

on_real_nodes = pytest.mark.real_nodes
"""Also on nodes with a kubelet, whose part in the case matters: pods really end, restart or
are killed.  All cases run on simulated nodes, which only a scheduler can tell from real ones.
"""

BETA_GROUPS = POD_GROUPS[0]
CONTROLLER = ("gang-system", "gang-controller")
JOBSETS = ("jobset-system", "jobset-controller")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each case on simulated nodes, and on real ones if it is marked so."""
    if "cluster" in metafunc.fixturenames:
        real = metafunc.definition.get_closest_marker("real_nodes")
        kinds = ["kind", "simulated"] if real else ["simulated"]
        metafunc.parametrize("cluster", kinds, indirect=True)


def spread(times: list[float]) -> float:
    return times[-1] - times[0]


@on_real_nodes
def test_two_gangs_that_fit_one_at_a_time_each_start_as_a_whole(cluster: GangCluster) -> None:
    cluster.nodes.offer(8)
    with cluster.never_in_part():
        cluster.start("one", 6)
        cluster.start("two", 6)
        cluster.await_completed("one", "two")
    first, second = sorted([cluster.bind_times("one"), cluster.bind_times("two")])
    assert (len(first), len(second)) == (6, 6)
    # Times are whole seconds, so a difference below one second may be recorded as one.
    assert spread(first) <= 1
    assert spread(second) <= 1
    assert second[0] > first[-1]


def test_metaflows_jobsets_are_gangs_by_default(cluster: GangCluster) -> None:
    cluster.nodes.offer(4)
    cluster.start("flow", 3, labels=METAFLOW)
    cluster.await_completed("flow")
    assert cluster.reason("flow") == "Scheduled"
    assert cluster.jobset("flow")["spec"]["startupPolicy"] == {"startupPolicyOrder": "AnyOrder"}


@on_real_nodes
def test_a_gang_larger_than_the_cluster_waits_for_another_node(
    cluster: GangCluster,
) -> None:
    cluster.nodes.offer(8)
    with cluster.never_in_part():
        cluster.start("large", 9)
        cluster.await_reason("large", "TooLarge")
        assert "needs 9 pods" in cluster.message("large")
        assert "free resources for 8" in cluster.message("large")
        cluster.start_pod("another")
        eventually("another pod to run", lambda: ended(cluster, "another"))
        assert cluster.bound("large") == 0
        cluster.nodes.add(1)
        cluster.await_completed("large")


def ended(cluster: GangCluster, pod: str) -> bool:
    found = cluster.kube.get("v1", "Pod", pod, cluster.namespace)
    return bool(found["status"]["phase"] == "Succeeded")


@on_real_nodes
def test_a_waiting_gang_reports_what_it_needs_and_what_is_free(cluster: GangCluster) -> None:
    cluster.nodes.offer(8)
    cluster.start("first", 6, seconds=3600)
    cluster.await_bound("first", 6)
    cluster.start("second", 6)
    cluster.await_reason("second", "InsufficientResources")
    assert "needs 6 pods" in cluster.message("second")
    assert "free resources for 2" in cluster.message("second")
    eventually("an event", lambda: "GangInsufficientResources" in cluster.events("second"))
    answer = explain(cluster.kube, find_subject(cluster.kube, "second", cluster.namespace))
    assert answer.state == "waiting"
    assert f"JobSet {cluster.namespace}/first (6 {SLOT}, 6 pods)" in answer.because
    cluster.delete("first")
    cluster.await_completed("second")


def allow_pods(cluster: GangCluster, pods: int) -> None:
    """Allow no more pods than so many in the namespace, and wait until that holds."""
    hard = {"count/pods": str(pods)}
    cluster.kube.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "pods", "namespace": cluster.namespace},
            "spec": {"hard": hard},
        }
    )

    def holds() -> bool:
        found = cluster.kube.get("v1", "ResourceQuota", "pods", cluster.namespace)
        status = found.get("status", {})
        return bool(status.get("hard") == hard and "used" in status)

    eventually("the quota to hold", holds)


def test_three_of_four_pods_wait_for_the_fourth(cluster: GangCluster) -> None:
    cluster.nodes.offer(8)
    allow_pods(cluster, 3)
    with cluster.never_in_part():
        cluster.start("four", 4)
        eventually("three pods", lambda: len(cluster.pods("four")) == 3)
        cluster.await_reason("four", "PodsMissing")
        assert "3 of 4 pods exist" in cluster.message("four")
        assert cluster.bound("four") == 0
        allow_pods(cluster, 10)
        cluster.await_completed("four")


def test_pods_may_be_created_before_their_group(cluster: GangCluster, scale: Scale) -> None:
    cluster.nodes.offer(8)
    scale(*CONTROLLER, 0)
    with cluster.never_in_part():
        cluster.start("early", 4)
        eventually("all pods", lambda: len(cluster.pods("early")) == 4)
        assert cluster.groups() == []
        assert cluster.bound("early") == 0
        scale(*CONTROLLER, 1)
        cluster.await_completed("early")


def test_the_group_may_be_created_before_its_pods(cluster: GangCluster) -> None:
    cluster.nodes.offer(8)
    allow_pods(cluster, 0)
    with cluster.never_in_part():
        cluster.start("late", 4)
        eventually("the group", lambda: len(cluster.groups()) == 1)
        assert cluster.pods("late") == []
        allow_pods(cluster, 10)
        cluster.await_completed("late")


def test_a_suspended_jobset_becomes_a_gang_when_it_is_resumed(cluster: GangCluster) -> None:
    cluster.nodes.offer(8)
    with cluster.never_in_part():
        cluster.start("suspended", 4, spec={"suspend": True})
        cluster.start("other", 4)
        cluster.await_completed("other")
        assert [name.partition("-")[0] for name in cluster.groups()] == ["other"]
        resume(cluster, "suspended")
        cluster.await_completed("suspended")
    assert len(cluster.groups()) == 2


def resume(cluster: GangCluster, name: str) -> None:
    metadata = {"name": name, "namespace": cluster.namespace}
    spec = {"suspend": False}
    cluster.kube.apply({"apiVersion": JOBSET, "kind": "JobSet", "metadata": metadata, "spec": spec})


@on_real_nodes
def test_ten_gangs_of_five_on_twelve_slots_all_finish(cluster: GangCluster) -> None:
    cluster.nodes.offer(12)
    names = [f"gang-{number}" for number in range(10)]
    with cluster.never_in_part():
        for name in names:
            cluster.start(name, 5, seconds=1)
        cluster.await_completed(*names)


def test_two_ordered_gangs_that_each_fill_the_cluster_finish(cluster: GangCluster) -> None:
    cluster.nodes.offer(8)
    with cluster.never_in_part():
        cluster.start("one", 8)
        cluster.start("two", 8)
        cluster.await_completed("one", "two")


@on_real_nodes
def test_a_killed_controller_resumes_its_gangs(cluster: GangCluster, target: Target) -> None:
    cluster.nodes.offer(4)
    names = [f"gang-{number}" for number in range(4)]
    with cluster.never_in_part():
        for name in names[:2]:
            cluster.start(name, 4, seconds=1)
        selector = "app.kubernetes.io/name=gang"
        target.stack.admin_kubectl(
            "delete", "pod", "-n", CONTROLLER[0], "-l", selector, "--grace-period=0", "--force"
        )
        for name in names[2:]:
            cluster.start(name, 4, seconds=1)
        cluster.await_completed(*names)


def test_two_controllers_do_not_interfere(cluster: GangCluster, scale: Scale) -> None:
    cluster.nodes.offer(8)
    scale(*CONTROLLER, 2)
    names = [f"gang-{number}" for number in range(4)]
    with cluster.never_in_part():
        for name in names:
            cluster.start(name, 4, seconds=1)
        cluster.await_completed(*names)
    assert len(cluster.groups()) == 4


@on_real_nodes
def test_a_jobset_deleted_while_it_waits_leaves_nothing_and_blocks_no_other(
    cluster: GangCluster,
) -> None:
    cluster.nodes.offer(4)
    cluster.start("running", 4, seconds=3)
    cluster.await_bound("running", 4)
    cluster.start("waiting", 4)
    cluster.await_reason("waiting", "InsufficientResources")
    cluster.delete("waiting")
    eventually("its pods to go", lambda: not cluster.pods("waiting"))
    eventually("its group to go", lambda: len(cluster.groups()) == 1)
    cluster.start("next", 4)
    cluster.await_completed("running", "next")


def test_a_jobset_under_a_deleted_ones_name_is_another_gang(cluster: GangCluster) -> None:
    cluster.nodes.offer(8)
    cluster.start("same", 3, seconds=3600)
    cluster.await_bound("same", 3)
    cluster.delete("same")
    eventually("it to be deleted", lambda: is_deleted(cluster, "same"))
    with cluster.never_in_part():
        cluster.start("same", 6)
        cluster.await_completed("same")


def is_deleted(cluster: GangCluster, name: str) -> bool:
    try:
        cluster.jobset(name)
    except NotFoundError:
        return True
    return False


@on_real_nodes
def test_a_jobset_that_is_restarted_starts_as_a_whole_again(cluster: GangCluster) -> None:
    cluster.nodes.offer(4)
    with cluster.never_in_part():
        cluster.start("again", 4, fails=True, spec={"failurePolicy": {"maxRestarts": 1}})
        eventually("both attempts to fail", lambda: failed(cluster, "again"), timeout=180)
    assert cluster.jobset("again")["status"]["restarts"] == 1
    assert sorted(name[-2:] for name in cluster.groups()) == ["-0", "-1"]


def failed(cluster: GangCluster, name: str) -> bool:
    conditions = cluster.jobset(name).get("status", {}).get("conditions", [])
    return any(each["type"] == "Failed" and each["status"] == "True" for each in conditions)


@pytest.mark.parametrize(
    ("job", "why"),
    [({"backoffLimit": 2}, "backoffLimit"), ({"completions": 3}, "completions")],
    ids=["retries", "one-after-another"],
)
def test_a_jobset_that_cannot_start_as_a_whole_is_excluded_with_the_reason(
    cluster: GangCluster, job: Object, why: str
) -> None:
    cluster.nodes.offer(8)
    cluster.start("other", 3, job=job)
    cluster.await_reason("other", "NotAGang")
    assert why in cluster.message("other")
    cluster.await_completed("other")
    assert cluster.groups() == []


@pytest.mark.parametrize("labels", [{}, {"devstack.dev/gang": "false", **METAFLOW}])
def test_other_jobsets_are_not_changed(cluster: GangCluster, labels: dict[str, str]) -> None:
    cluster.nodes.offer(8)
    cluster.start("theirs", 3, labels=labels)
    cluster.await_completed("theirs")
    assert cluster.jobset("theirs")["spec"]["startupPolicy"] == {"startupPolicyOrder": "InOrder"}
    assert cluster.reason("theirs") == ""
    assert cluster.groups() == []


def make_important(cluster: GangCluster, preemption: str) -> Object:
    """Return what makes a pod more important than others."""
    name = f"important-{preemption.lower()}"
    cluster.kube.apply(
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": 1000,
            "preemptionPolicy": preemption,
        }
    )
    return {"priorityClassName": name}


@on_real_nodes
def test_a_gang_of_high_priority_that_does_not_fit_preempts_no_pod(cluster: GangCluster) -> None:
    cluster.nodes.offer(4)
    cluster.start("usual", 4, seconds=10)
    cluster.await_bound("usual", 4)
    important = make_important(cluster, "PreemptLowerPriority")
    cluster.start("important", 6, pod=important)
    cluster.await_reason("important", "TooLarge")
    cluster.await_completed("usual")
    assert cluster.bound("important") == 0


def test_the_waiting_gang_of_higher_priority_starts_first(cluster: GangCluster) -> None:
    """Before v1beta1, whose scheduler tries each waiting gang in a rhythm of its own."""
    important = make_important(cluster, "Never")
    cluster.nodes.offer(3)
    cluster.start("usual", 4)
    cluster.await_reason("usual", "TooLarge")
    cluster.start("important", 4, pod=important)
    cluster.await_reason("important", "TooLarge")
    # After a failed attempt a gang backs off, and while it does, the other one would go first.
    # Nothing reports the end of the backoff; the scheduler's configuration has its length.
    time.sleep(2 * SCHEDULER["podMaxBackoffSeconds"])
    with cluster.never_in_part():
        # All the capacity comes at once, enough for either.
        cluster.nodes.add(1)
        cluster.await_completed("important", "usual")
    if cluster.group_api == BETA_GROUPS:
        priorities = [cluster.group_priority(name) for name in ("important", "usual")]
        assert priorities == [1000, 0]
    else:
        assert cluster.bind_times("important")[-1] < cluster.bind_times("usual")[0]


def test_a_gang_of_a_hundred_starts_as_a_whole(large: GangCluster) -> None:
    large.nodes.offer(100)
    # 0.7 s on an idle machine (the benchmark holds it to a second); others are slower.
    with large.never_in_part(seconds=2):
        large.start("hundred", 100, seconds=1)
        large.await_completed("hundred")


def test_fifty_gangs_at_once_all_finish(large: GangCluster) -> None:
    large.nodes.offer(40)
    names = [f"gang-{number}" for number in range(50)]
    with large.never_in_part():
        for name in names:
            large.start(name, 8, seconds=1)
        large.await_completed(*names, timeout=600)
