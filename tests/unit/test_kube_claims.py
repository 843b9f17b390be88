from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.cli.pvc import COMMANDS
from devstack.deployers.airflow import follow
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.pending_pods import PendingPods
from devstack.kube.claims import delete_claims, ensure_claim, list_claims
from devstack.kube.client import Object
from devstack.kube.volumes import missing_claim
from devstack.waits import Failed
from devstack.why.explain import explain
from devstack.why.subject import find_subject
from tests.fakes.api import FakeApi
from tests.fakes.runner import FakeClock
from tests.support.task_objects import NAMESPACE, RUN, job, jobset, local_volume, task_pod

ARGUMENTS = {"create": ["data", "1Gi"], "delete": ["data"]}


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    api.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    return api


def mounting(claim: str, *, phase: str = "Pending", node: str = "", gang: str = "") -> Object:
    pod = task_pod("t-1", phase=phase, node=node, jobset=gang)
    pod["spec"]["volumes"] = [
        {"name": "s", "secret": {"secretName": "s"}},
        {"name": "v", "persistentVolumeClaim": {"claimName": claim}},
    ]
    return pod


def test_a_claim_is_created_once(api: FakeApi) -> None:
    assert ensure_claim(api.client(), NAMESPACE, "data", "1Gi") is True
    assert ensure_claim(api.client(), NAMESPACE, "data", "1Gi") is False
    assert ensure_claim(api.client(), NAMESPACE, "data", "1024Mi") is False
    (claim,) = list_claims(api.client(), NAMESPACE)
    assert (claim.name, claim.size, claim.state) == ("data", "1Gi", "Pending")
    assert claim.access == "ReadWriteOnce"


def test_another_size_is_an_error_that_names_both(api: FakeApi) -> None:
    ensure_claim(api.client(), NAMESPACE, "data", "1Gi")
    with pytest.raises(DevstackError) as caught:
        ensure_claim(api.client(), NAMESPACE, "data", "2Gi")
    assert caught.value.code == "CLAIM_EXISTS"
    assert "1Gi, not 2Gi" in caught.value.cause
    assert "devstack pvc delete data" in caught.value.remedy


@pytest.mark.parametrize(
    "message",
    [
        'persistentvolumeclaims "data" is forbidden: exceeded quota: team, requested:'
        " requests.storage=1Gi, used: requests.storage=9Gi, limited: requests.storage=9Gi",
        'persistentvolumeclaims "data" is forbidden: maximum storage usage per'
        " PersistentVolumeClaim is 500Mi, but limit is 1Gi",
    ],
)
def test_a_quota_or_a_limit_range_is_named_as_the_cause(api: FakeApi, message: str) -> None:
    api.refuse("POST", "/persistentvolumeclaims", 403, "Forbidden", message)
    with pytest.raises(DevstackError) as caught:
        ensure_claim(api.client(), NAMESPACE, "data", "1Gi")
    assert (caught.value.code, caught.value.cause) == ("CLAIM_FORBIDDEN", message)
    assert "create a smaller one" in caught.value.remedy


def test_a_missing_right_to_create_claims_stays_what_it_is(api: FakeApi) -> None:
    api.refuse("POST", "/persistentvolumeclaims", 403, "Forbidden", "ann cannot create claims")
    with pytest.raises(DevstackError) as caught:
        ensure_claim(api.client(), NAMESPACE, "data", "1Gi")
    assert caught.value.code == "API_FORBIDDEN"


def test_a_claim_that_is_being_deleted_is_not_taken_for_one_that_exists(api: FakeApi) -> None:
    ensure_claim(api.client(), NAMESPACE, "data", "1Gi")
    for item in api.objects.values():
        item["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    with pytest.raises(DevstackError) as caught:
        ensure_claim(api.client(), NAMESPACE, "data", "1Gi")
    assert "being deleted" in caught.value.cause
    assert list_claims(api.client(), NAMESPACE)[0].state == "Terminating"


@pytest.mark.parametrize("name", ["", "Data", "-data", "a_b", "a..b", "x" * 254, "a/b", "ü", "a\n"])
def test_an_invalid_name_is_rejected(api: FakeApi, name: str) -> None:
    with pytest.raises(DevstackError) as caught:
        ensure_claim(api.client(), NAMESPACE, name, "1Gi")
    assert (caught.value.code, caught.value.exit_status) == ("CLAIM_INVALID", ExitStatus.USAGE)
    assert "is not a name" in caught.value.cause
    assert api.writes == []


@pytest.mark.parametrize("size", ["", "10GB", "0", "-1Gi", "many", "1Gi ", "9Ei", "1.2.3", "."])
def test_an_invalid_size_is_rejected(api: FakeApi, size: str) -> None:
    with pytest.raises(DevstackError, match="is not a size"):
        ensure_claim(api.client(), NAMESPACE, "data", size)


def test_all_mistakes_are_reported_at_once(api: FakeApi) -> None:
    with pytest.raises(DevstackError) as caught:
        ensure_claim(api.client(), NAMESPACE, "A B", "10GB")
    assert "'A B'" in caught.value.cause
    assert "'10GB'" in caught.value.cause


def test_a_claim_in_use_is_listed_with_its_pods_and_not_deleted(api: FakeApi) -> None:
    ensure_claim(api.client(), NAMESPACE, "data", "1Gi")
    api.add(mounting("data", phase="Running", node="n"))
    assert list_claims(api.client(), NAMESPACE)[0].pods == ["t-1"]
    with pytest.raises(DevstackError) as caught:
        delete_claims(api.client(), NAMESPACE, ["data"])
    assert (caught.value.code, "t-1" in caught.value.cause) == ("CLAIM_IN_USE", True)


def with_template(owner: Object, claim: str, **spec: object) -> Object:
    """Return a Job, or the one of a JobSet, whose pods mount a claim."""
    template = {"spec": mounting(claim)["spec"]}
    job_spec = {"template": template, **spec}
    inner = {"replicatedJobs": [{"template": {"spec": job_spec}}]}
    owner["spec"] = inner if owner["kind"] == "JobSet" else job_spec
    return owner


@pytest.mark.parametrize("build", [job, jobset])
def test_a_claim_of_a_job_without_a_pod_is_in_use(
    api: FakeApi, build: Callable[[str], Object]
) -> None:
    """A quota that is used up, or `suspend`, keeps a Job from having one."""
    ensure_claim(api.client(), NAMESPACE, "data", "1Gi")
    owner = with_template(build("t-9"), "data")
    api.add(owner)
    with pytest.raises(DevstackError) as caught:
        delete_claims(api.client(), NAMESPACE, ["data"], FakeClock())
    assert caught.value.code == "CLAIM_IN_USE"
    assert f"'data' is used by {owner['kind'].lower()} t-9" in caught.value.cause


def test_a_job_that_is_complete_a_moment_after_its_pod_is_awaited(api: FakeApi) -> None:
    class Controller(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            api.add(with_template(job("t-9", ended="Complete"), "data"))

    ensure_claim(api.client(), NAMESPACE, "data", "1Gi")
    api.add(with_template(job("t-9"), "data"), mounting("data", phase="Succeeded", node="n"))
    assert delete_claims(api.client(), NAMESPACE, ["data"], Controller()) == ["data"]


@pytest.mark.parametrize(
    "owner",
    [
        with_template(job("t-9", ended="Complete"), "data"),
        with_template(job("t-9", ended="Failed"), "data"),
        with_template(job("t-9"), "data", parallelism=0),
        with_template(job("t-9"), "other"),
        with_template(jobset("t-9", ended="Completed"), "data"),
    ],
    ids=["complete", "failed", "stopped by Metaflow", "another claim", "completed"],
)
def test_a_job_that_needs_a_claim_no_more_does_not_keep_it(api: FakeApi, owner: Object) -> None:
    ensure_claim(api.client(), NAMESPACE, "data", "1Gi")
    api.add(owner)
    assert delete_claims(api.client(), NAMESPACE, ["data"]) == ["data"]


def test_an_unused_claim_is_deleted_once(api: FakeApi) -> None:
    ensure_claim(api.client(), NAMESPACE, "data", "1Gi")
    assert delete_claims(api.client(), NAMESPACE, ["data", "data"]) == ["data"]
    assert delete_claims(api.client(), NAMESPACE, ["data"]) == []


def test_the_ended_pods_that_keep_a_claim_are_deleted_with_it(api: FakeApi) -> None:
    """Kubernetes keeps a claim as long as a pod exists that mounts it."""
    ensure_claim(api.client(), NAMESPACE, "data", "1Gi")
    ensure_claim(api.client(), NAMESPACE, "other", "1Gi")
    ended, kept = (mounting(name, phase="Succeeded", node="n") for name in ("data", "other"))
    kept["metadata"]["name"] = "t-2"
    api.add(ended, kept)
    assert delete_claims(api.client(), NAMESPACE, ["data"]) == ["data"]
    pods = api.client().list_objects("v1", "Pod", NAMESPACE)
    assert [pod["metadata"]["name"] for pod in pods] == ["t-2"]


def test_the_deletion_of_a_claim_is_awaited_until_its_volume_is_released(api: FakeApi) -> None:
    ensure_claim(api.client(), NAMESPACE, "data", "1Gi")
    api.add(local_volume("n"))
    with pytest.raises(DevstackError) as caught:
        delete_claims(api.client(), NAMESPACE, ["data"], FakeClock())
    assert caught.value.code == "WAIT_TIMEOUT"
    assert "its volume pvc-1 is not released yet" in caught.value.cause


def test_no_claim_is_deleted_if_one_of_them_is_in_use(api: FakeApi) -> None:
    ensure_claim(api.client(), NAMESPACE, "data", "1Gi")
    ensure_claim(api.client(), NAMESPACE, "other", "1Gi")
    api.add(mounting("data", phase="Running", node="n"))
    with pytest.raises(DevstackError):
        delete_claims(api.client(), NAMESPACE, ["other", "data"])
    assert [claim.name for claim in list_claims(api.client(), NAMESPACE)] == ["data", "other"]


@pytest.mark.parametrize("name", ["", ".", "..", "A", "a/b"])
def test_nothing_is_deleted_for_what_is_not_a_name(api: FakeApi, name: str) -> None:
    ensure_claim(api.client(), NAMESPACE, "data", "1Gi")
    before = list(api.writes)
    with pytest.raises(DevstackError) as caught:
        delete_claims(api.client(), NAMESPACE, ["data", name])
    assert (caught.value.code, caught.value.exit_status) == ("CLAIM_INVALID", ExitStatus.USAGE)
    assert api.writes == before


def require_command(found: Failed | None) -> None:
    assert found is not None
    assert found.code == "POD_UNSCHEDULABLE"
    assert "volume claim metaflow/moon does not exist" in found.reason
    assert "`devstack pvc create moon 10Gi`" in found.remedy


@pytest.mark.parametrize("gang", ["", "js-1"])
def test_a_run_with_a_missing_claim_fails_immediately_with_the_command(
    api: FakeApi, gang: str
) -> None:
    watch = PendingPods(api.client(), NAMESPACE, FakeClock())
    found = watch.observe(RUN, [mounting("moon", gang=gang)])
    require_command(found if isinstance(found, Failed) else None)


def test_why_names_the_command(api: FakeApi) -> None:
    api.add(mounting("moon"))
    answer = explain(api.client(), find_subject(api.client(), "t-1", NAMESPACE))
    assert answer.state == "stuck"
    assert "`devstack pvc create moon 10Gi`" in answer.remedy


def test_a_run_on_airflow_names_the_command(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    class Cluster:
        def kube(self) -> object:
            return api.client()

    monkeypatch.setattr(follow, "task_pods", lambda *_: [mounting("moon")])
    require_command(follow.find_failed_pod(Cluster(), None))  # type: ignore[arg-type]


def test_a_claim_that_exists_is_not_missing(api: FakeApi) -> None:
    ensure_claim(api.client(), NAMESPACE, "data", "1Gi")
    assert missing_claim(api.client(), mounting("data")) is None


def test_without_permission_to_read_claims_none_is_missing(api: FakeApi) -> None:
    api.refuse("GET", "/moon", 403)
    assert missing_claim(api.client(), mounting("moon")) is None


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_reports_a_missing_stack(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    status = run(["pvc", name, *ARGUMENTS.get(name, []), "--json"], Output())
    envelope = json.loads(capsys.readouterr().out)
    assert status == ExitStatus.ENVIRONMENT
    assert envelope["error"]["code"] == "STACK_DOWN"
    assert envelope["command"] == f"pvc {name}"


def test_a_wide_foreach_looks_up_its_claim_and_the_nodes_once(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cluster:
        def kube(self) -> object:
            return api.client()

    ensure_claim(api.client(), NAMESPACE, "data", "1Gi")
    pods = []
    for index in range(20):
        pod = mounting("data")
        pod["metadata"]["name"] = f"t-{index}"
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        pod["status"]["conditions"] = [{**condition, "message": "1 Insufficient cpu"}]
        pods.append(pod)
    monkeypatch.setattr(follow, "task_pods", lambda *_: pods)
    api.requests.clear()
    assert follow.find_failed_pod(Cluster(), None) is None  # type: ignore[arg-type]
    assert api.requests.count(("GET", "/api/v1/nodes")) == 1
    api.requests.clear()
    PendingPods(api.client(), NAMESPACE, FakeClock()).observe(RUN, pods)
    assert api.requests.count(("GET", "/api/v1/nodes")) == 1


def test_a_claim_of_another_namespace_is_created_there(api: FakeApi) -> None:
    pod = mounting("moon")
    pod["metadata"]["namespace"] = "team"
    failed = missing_claim(api.client(), pod)
    assert failed is not None
    assert "`devstack pvc create moon 10Gi --namespace team`" in failed.remedy


def test_commands_name_a_namespace_that_is_not_the_stacks(api: FakeApi) -> None:
    client = api.client()
    client.namespace = "team"
    pod = mounting("moon")
    failed = missing_claim(client, pod)
    assert failed is not None
    assert "`devstack pvc create moon 10Gi --namespace metaflow`" in failed.remedy
    pod["metadata"]["namespace"] = "team"
    failed = missing_claim(client, pod)
    assert failed is not None
    assert "`devstack pvc create moon 10Gi`" in failed.remedy
    ensure_claim(client, NAMESPACE, "data", "1Gi")
    with pytest.raises(DevstackError) as caught:
        ensure_claim(client, NAMESPACE, "data", "2Gi")
    assert "devstack pvc delete data --namespace metaflow deletes" in caught.value.remedy
