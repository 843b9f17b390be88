from __future__ import annotations

import pytest

from devstack.errors import DevstackError
from devstack.kube.client import Object
from devstack.why.answer import Answer
from devstack.why.explain import explain
from devstack.why.subject import find_subject
from tests.fakes.api import FakeApi, available, deployment, path_of
from tests.support.gang_objects import NAMESPACE, gang, gang_pod, gang_pods, node, pod_group


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def why(api: FakeApi, word: str) -> Answer:
    client = api.client()
    return explain(client, find_subject(client, word, NAMESPACE))


def failed_create(job: str, message: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{job}.1", "namespace": NAMESPACE},
        "involvedObject": {"kind": "Job", "name": job},
        "reason": "FailedCreate",
        "message": message,
    }


def single(name: str, cpu: str = "1", **status: object) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {}},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]},
        "status": {"phase": "Pending", **status},
    }


def test_a_gang_without_room_is_told_what_it_needs_and_who_holds_it(api: FakeApi) -> None:
    api.add(node("one", "8"), gang("js-1", 6), *gang_pods("js-1", 6, node="one"))
    api.add(gang("js-2", 6), pod_group("js-2"), *gang_pods("js-2", 6))
    answer = why(api, "js-2")
    assert answer.state == "waiting"
    assert "start together or not at all" in answer.because
    assert "needs 6 pods x 1 cpu, and there is room for 2" in answer.because
    assert "node one has 2 cpu free" in answer.because
    assert "JobSet metaflow/js-1 (6 cpu, 6 pods)" in answer.because
    assert answer.remedy


def test_a_gang_larger_than_the_cluster_is_stuck(api: FakeApi) -> None:
    api.add(node("one", "8"), gang("js-1", 9), pod_group("js-1"), *gang_pods("js-1", 9))
    answer = why(api, "js-1")
    assert answer.state == "stuck"
    assert "Even with no other job in the cluster there would be room for 8" in answer.because


def test_a_pod_of_a_gang_waits_for_the_whole_gang(api: FakeApi) -> None:
    api.add(node("one", "2"), gang("js-1", 3), pod_group("js-1"), *gang_pods("js-1", 3))
    assert "needs 3 pods x 1 cpu" in why(api, "pod/js-1-worker-0").because


def test_taints_are_named(api: FakeApi) -> None:
    taint = {"key": "gpu", "effect": "NoSchedule"}
    api.add(node("one", "8", taints=[taint]), single("t-1"))
    answer = why(api, "t-1")
    assert answer.state == "stuck"
    assert "has the taint gpu:NoSchedule" in answer.because


def test_a_gang_that_misses_pods_says_how_many(api: FakeApi) -> None:
    api.add(node("one", "8"), gang("js-1", 4), pod_group("js-1"), *gang_pods("js-1", 3))
    assert "3 of its 4 pods exist" in why(api, "js-1").because


def test_a_quota_is_named(api: FakeApi) -> None:
    api.add(gang("js-1", 4), pod_group("js-1"), *gang_pods("js-1", 3))
    api.add(failed_create("js-1-worker-3", "exceeded quota: small, requested: cpu=1"))
    answer = why(api, "js-1")
    assert answer.state == "stuck"
    assert "3 of its 4 pods exist; the others are refused: exceeded quota" in answer.because
    assert "raise the quota" in answer.remedy


def test_a_group_that_nobody_makes_points_at_the_controller(api: FakeApi) -> None:
    api.add(gang("js-1", 2), *gang_pods("js-1", 2))
    api.add(deployment("gang-controller", "gang-system"))
    answer = why(api, "js-1")
    assert answer.state == "stuck"
    assert "the gang controller is not ready" in answer.because
    assert answer.remedy == "devstack up heals it"


def test_pods_that_nobody_makes_point_at_the_jobset_controller(api: FakeApi) -> None:
    api.add(gang("js-1", 2), deployment("jobset-controller", "jobset-system"))
    assert "the JobSet controller, which makes its pods, is not ready" in why(api, "js-1").because


def test_a_new_jobset_is_given_a_moment(api: FakeApi) -> None:
    api.add(gang("js-1", 2), available("jobset-controller", "jobset-system"))
    assert why(api, "js-1").state == "waiting"


def test_a_suspended_jobset_has_no_pods(api: FakeApi) -> None:
    jobset = gang("js-1", 2)
    jobset["spec"]["suspend"] = True
    api.add(jobset)
    answer = why(api, "js-1")
    assert "suspended" in answer.because
    assert '"suspend": false' in answer.remedy


def test_an_image_that_cannot_be_had_is_named(api: FakeApi) -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "no such host"}
    pod = gang_pod("js-1", 0, node="one")
    pod["status"] = {
        "phase": "Pending",
        "containerStatuses": [
            {"name": "task", "image": "no/such:1", "state": {"waiting": waiting}}
        ],
    }
    api.add(gang("js-1", 1), pod_group("js-1"), pod)
    answer = why(api, "js-1")
    assert answer.state == "stuck"
    assert "no/such:1" in answer.because


@pytest.mark.parametrize(("kind", "state"), [("Completed", "ended"), ("Failed", "failed")])
def test_what_is_over_says_so(api: FakeApi, kind: str, state: str) -> None:
    api.add(gang("js-1", 2, conditions=[{"type": kind, "status": "True", "message": "as said"}]))
    answer = why(api, "jobset/js-1")
    assert (answer.state, answer.because) == (state, "as said")


def test_what_runs_is_not_talked_ill_of(api: FakeApi) -> None:
    pods = gang_pods("js-1", 2, node="one")
    for pod in pods:
        pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    api.add(gang("js-1", 2), pod_group("js-1"), *pods)
    assert why(api, "js-1").paragraph == "JobSet metaflow/js-1 runs: its 2 pods are at work"


def test_a_name_that_is_nowhere_is_an_error_that_names_what_there_is(api: FakeApi) -> None:
    api.add(gang("js-1", 2))
    with pytest.raises(DevstackError, match="js-1") as refusal:
        why(api, "js-9")
    assert refusal.value.code == "NOTHING_SO_NAMED"


def test_other_kinds_are_refused(api: FakeApi) -> None:
    with pytest.raises(DevstackError, match="service"):
        why(api, "service/minio")


def test_only_those_hold_the_room_who_are_where_the_gang_may_go(api: FakeApi) -> None:
    taint = {"key": "gpu", "effect": "NoSchedule"}
    api.add(node("one", "4"), node("two", "8", taints=[taint]))
    api.add(gang("js-1", 3), *gang_pods("js-1", 3, node="one"))
    api.add(single("elsewhere", cpu="7", phase="Running"))
    api.objects[path_of(single("elsewhere"))]["spec"]["nodeName"] = "two"
    api.add(gang("js-2", 3), pod_group("js-2"), *gang_pods("js-2", 3))
    assert list(why(api, "js-2").holders) == ["JobSet metaflow/js-1 (3 cpu, 3 pods)"]
