from __future__ import annotations

import pytest

from devstack.errors import DevstackError
from devstack.kube.client import Object
from devstack.why.answer import Answer
from devstack.why.explain import explain
from devstack.why.subject import find_subject
from tests.fakes.api import FakeApi, available, deployment, path_of
from tests.support.gang_objects import (
    NAMESPACE,
    gang,
    gang_pod,
    gang_pods,
    node,
    plugin_pod_group,
    plugin_pods,
    pod_group,
)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def why(api: FakeApi, reference: str) -> Answer:
    client = api.client()
    return explain(client, find_subject(client, reference, NAMESPACE))


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


def test_a_gang_that_does_not_fit_shows_what_it_needs_and_what_holds_it(api: FakeApi) -> None:
    api.add(node("one", "8"), gang("js-1", 6), *gang_pods("js-1", 6, node="one"))
    api.add(gang("js-2", 6), pod_group("js-2"), *gang_pods("js-2", 6))
    answer = why(api, "js-2")
    assert answer.state == "waiting"
    assert "start together or not at all" in answer.because
    assert "needs 6 pods x 1 cpu, of which 2 fit" in answer.because
    assert "node one has 2 cpu free" in answer.because
    assert "JobSet metaflow/js-1 (6 cpu, 6 pods)" in answer.because
    assert answer.remedy


def test_a_gang_larger_than_the_cluster_is_stuck(api: FakeApi) -> None:
    api.add(node("one", "8"), gang("js-1", 9), pod_group("js-1"), *gang_pods("js-1", 9))
    answer = why(api, "js-1")
    assert answer.state == "stuck"
    assert "Even without other jobs in the cluster only 8 would fit" in answer.because


NEEDS = "needs 6 pods x 1 cpu at once, free resources for 2 (too little cpu on 1 of 1 nodes)"


def test_the_controllers_report_is_preferred_to_a_computation(api: FakeApi) -> None:
    api.add(node("one", "800"), gang("js-1", 6), *gang_pods("js-1", 6, node="one", cpu="100"))
    api.add(
        gang("js-2", 6, "InsufficientResources", NEEDS), pod_group("js-2"), *gang_pods("js-2", 6)
    )
    answer = why(api, "js-2")
    assert answer.state == "waiting"
    assert f"start together or not at all; it {NEEDS}." in answer.because
    assert "held by JobSet metaflow/js-1 (600 cpu, 6 pods)" in answer.because
    assert not answer.nodes


def test_a_gang_that_the_controller_reports_as_too_large_is_stuck(api: FakeApi) -> None:
    message = "needs 9 pods x 1 cpu at once; without other jobs, free resources for 8"
    api.add(node("one", "8"), gang("js-1", 9, "TooLarge", message))
    api.add(pod_group("js-1"), *gang_pods("js-1", 9))
    answer = why(api, "pod/js-1-worker-0")
    assert answer.state == "stuck"
    assert message in answer.because


def test_a_scheduler_that_does_not_report_is_named(api: FakeApi) -> None:
    message = "all 2 pods exist, but the scheduler has not decided"
    api.add(
        gang("js-1", 2, "NoSchedulingDecision", message), pod_group("js-1"), *gang_pods("js-1", 2)
    )
    answer = why(api, "js-1")
    assert answer.state == "waiting"
    assert message in answer.because


def test_by_the_coscheduling_plug_in_a_gang_waits_for_the_same_reasons(api: FakeApi) -> None:
    api.add(node("one", "8"), gang("js-1", 9))
    api.add(plugin_pod_group("js-1", 9), *plugin_pods("js-1", 9))
    answer = why(api, "js-1")
    assert answer.state == "stuck"
    assert "start together or not at all; it needs 9 pods x 1 cpu, of which 8 fit" in answer.because


def test_by_the_coscheduling_plug_in_a_pod_waits_for_the_whole_gang(api: FakeApi) -> None:
    api.add(node("one", "8"), gang("js-1", 6, "InsufficientResources", NEEDS))
    api.add(plugin_pod_group("js-1", 6), *plugin_pods("js-1", 6))
    assert NEEDS in why(api, "pod/js-1-worker-0").because


def test_a_missing_pod_group_of_the_plug_in_points_at_the_controller(api: FakeApi) -> None:
    api.add(gang("js-1", 2), pod_group("js-1"), *plugin_pods("js-1", 2))
    api.add(deployment("gang-controller", "gang-system"))
    answer = why(api, "js-1")
    assert answer.state == "stuck"
    assert "PodGroup js-1-0123abcd-0, which does not exist" in answer.because


def test_a_pod_of_a_gang_waits_for_the_whole_gang(api: FakeApi) -> None:
    api.add(node("one", "2"), gang("js-1", 3), pod_group("js-1"), *gang_pods("js-1", 3))
    assert "needs 3 pods x 1 cpu" in why(api, "pod/js-1-worker-0").because


def test_taints_are_named(api: FakeApi) -> None:
    taint = {"key": "gpu", "effect": "NoSchedule"}
    api.add(node("one", "8", taints=[taint]), single("t-1"))
    answer = why(api, "t-1")
    assert answer.state == "stuck"
    assert "has the taint gpu:NoSchedule" in answer.because


def test_a_gang_with_missing_pods_shows_how_many(api: FakeApi) -> None:
    api.add(node("one", "8"), gang("js-1", 4), pod_group("js-1"), *gang_pods("js-1", 3))
    assert "3 of its 4 pods exist" in why(api, "js-1").because


def test_a_quota_is_named(api: FakeApi) -> None:
    api.add(gang("js-1", 4), pod_group("js-1"), *gang_pods("js-1", 3))
    api.add(failed_create("js-1-worker-3", "exceeded quota: small, requested: cpu=1"))
    answer = why(api, "js-1")
    assert answer.state == "stuck"
    assert "3 of its 4 pods exist; the others are forbidden: exceeded quota" in answer.because
    assert "raise the quota" in answer.remedy


def test_a_missing_pod_group_points_at_the_controller(api: FakeApi) -> None:
    api.add(gang("js-1", 2), *gang_pods("js-1", 2))
    api.add(deployment("gang-controller", "gang-system"))
    answer = why(api, "js-1")
    assert answer.state == "stuck"
    assert "the gang controller is not ready" in answer.because
    assert answer.remedy == "devstack up"


def test_missing_pods_point_at_the_jobset_controller(api: FakeApi) -> None:
    api.add(gang("js-1", 2), deployment("jobset-controller", "jobset-system"))
    assert "the JobSet controller, which creates its pods, is not ready" in why(api, "js-1").because


def test_a_new_jobset_without_pods_is_waiting(api: FakeApi) -> None:
    api.add(gang("js-1", 2), available("jobset-controller", "jobset-system"))
    assert why(api, "js-1").state == "waiting"


def test_a_suspended_jobset_has_no_pods(api: FakeApi) -> None:
    jobset = gang("js-1", 2)
    jobset["spec"]["suspend"] = True
    api.add(jobset)
    answer = why(api, "js-1")
    assert "suspended" in answer.because
    assert '"suspend": false' in answer.remedy


def test_an_image_that_cannot_be_pulled_is_named(api: FakeApi) -> None:
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
def test_an_ended_jobset_is_reported_with_its_message(api: FakeApi, kind: str, state: str) -> None:
    api.add(
        gang("js-1", 2, conditions=[{"type": kind, "status": "True", "message": "as reported"}])
    )
    answer = why(api, "jobset/js-1")
    assert (answer.state, answer.because) == (state, "as reported")


def test_a_running_gang_is_reported_as_running(api: FakeApi) -> None:
    pods = gang_pods("js-1", 2, node="one")
    for pod in pods:
        pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    api.add(gang("js-1", 2), pod_group("js-1"), *pods)
    assert why(api, "js-1").paragraph == "JobSet metaflow/js-1 runs: its 2 pods are running"


def test_an_unknown_name_is_an_error_that_lists_the_active_jobsets(api: FakeApi) -> None:
    api.add(gang("js-1", 2))
    with pytest.raises(DevstackError, match="js-1") as caught:
        why(api, "js-9")
    assert caught.value.code == "WORKLOAD_NOT_FOUND"


def test_other_kinds_are_rejected(api: FakeApi) -> None:
    with pytest.raises(DevstackError, match="service"):
        why(api, "service/minio")


def test_only_workloads_on_nodes_where_the_gang_may_run_are_holders(api: FakeApi) -> None:
    taint = {"key": "gpu", "effect": "NoSchedule"}
    api.add(node("one", "4"), node("two", "8", taints=[taint]))
    api.add(gang("js-1", 3), *gang_pods("js-1", 3, node="one"))
    api.add(single("elsewhere", cpu="7", phase="Running"))
    api.objects[path_of(single("elsewhere"))]["spec"]["nodeName"] = "two"
    api.add(gang("js-2", 3), pod_group("js-2"), *gang_pods("js-2", 3))
    assert list(why(api, "js-2").holders) == ["JobSet metaflow/js-1 (3 cpu, 3 pods)"]


@pytest.mark.parametrize("reference", ["", "pod/", "..", "pod/..", "no such", "Ü", "UPPER", "a?b"])
def test_an_invalid_name_is_not_found(api: FakeApi, reference: str) -> None:
    with pytest.raises(DevstackError) as caught:
        why(api, reference)
    assert caught.value.code == "WORKLOAD_NOT_FOUND"
    assert repr(reference) in caught.value.message


def test_a_cordoned_node_is_named_with_the_command(api: FakeApi) -> None:
    cordoned = node("big", "8")
    cordoned["spec"] = {**cordoned.get("spec", {}), "unschedulable": True}
    api.add(node("one", "1"), cordoned, single("t-1", cpu="4"))
    answer = why(api, "t-1")
    assert answer.state == "waiting"
    assert "It fits with big (cordoned)" in answer.because
    assert answer.remedy == "kubectl uncordon big"
