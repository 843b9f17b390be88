from __future__ import annotations

import pytest

from devstack.errors import DevstackError
from devstack.kube.api_errors import ForbiddenError, InvalidError
from devstack.kube.apply import apply_all, delete_all, differing
from devstack.kube.client import Object
from devstack.kube.manifests import with_owner
from tests.fakes.api import FakeApi, deployment, path_of
from tests.fakes.runner import FakeClock

NAMESPACE: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "devstack"}}
SERVICE: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "minio", "namespace": "devstack"},
    "spec": {"selector": {"app": "minio"}},
}
CRD: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "jobsets.jobset.x-k8s.io"},
    "spec": {
        "group": "jobset.x-k8s.io",
        "names": {"kind": "JobSet", "plural": "jobsets"},
        "scope": "Namespaced",
        "versions": [{"name": "v1alpha2", "served": True, "storage": True}],
    },
}


def apply(api: FakeApi, *manifests: Object, timeout: float = 10) -> list[str]:
    return apply_all(api.client(), manifests, timeout=timeout, clock=FakeClock())


def ours(item: Object) -> Object:
    """Return an object as `kubectl apply -k` of k8s/ creates it."""
    labels = {"app.kubernetes.io/part-of": "devstack"}
    return {**item, "metadata": {**item["metadata"], "labels": labels}}


def test_objects_of_another_stack_are_neither_adopted_nor_removed() -> None:
    api = FakeApi()
    api.add(NAMESPACE)
    (first,), (second,) = with_owner([SERVICE], "first"), with_owner([SERVICE], "second")
    apply(api, first)
    with pytest.raises(DevstackError) as caught:
        apply(api, second)
    assert caught.value.code == "OBJECT_FOREIGN"
    assert delete_all(api.client(), [second], timeout=1, clock=FakeClock()) == []
    assert apply(api, first) == []


def test_missing_objects_are_written_in_order() -> None:
    api = FakeApi()
    assert apply(api, NAMESPACE, SERVICE) == ["Namespace devstack", "Service devstack/minio"]
    assert [path for _, path in api.writes] == [path_of(NAMESPACE), path_of(SERVICE)]


def workload(name: str, **pod: object) -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "devstack"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "main:1"}], **pod},
            },
        },
    }


def test_pods_that_call_the_api_are_held_back_until_they_can() -> None:
    api = FakeApi()
    controller = workload("controller", serviceAccountName="controller")
    written: list[list[str]] = []

    def before_workloads() -> None:
        written.append([path for _, path in api.writes])

    def run() -> None:
        apply_all(
            api.client(),
            [controller, NAMESPACE],
            timeout=1,
            clock=FakeClock(),
            before_workloads=before_workloads,
        )

    run()
    assert written == [[path_of(NAMESPACE)]]
    assert api.writes[-1][1] == path_of(controller)
    run()
    assert len(written) == 1, "nothing was left to write, so nothing was waited for"


def test_pods_without_a_token_wait_for_nothing() -> None:
    held: list[str] = []
    apply_all(
        FakeApi().client(),
        [NAMESPACE, workload("server", automountServiceAccountToken=False)],
        timeout=1,
        clock=FakeClock(),
        before_workloads=lambda: held.append("held"),
    )
    assert held == []


def test_a_second_apply_writes_nothing() -> None:
    api = FakeApi()
    apply(api, NAMESPACE, SERVICE)
    api.requests.clear()
    assert apply(api, NAMESPACE, SERVICE) == []
    assert api.writes == []


def test_only_the_edited_object_is_written_again() -> None:
    api = FakeApi()
    apply(api, NAMESPACE, SERVICE)
    api.objects[path_of(SERVICE)]["spec"]["selector"]["app"] = "other"
    api.requests.clear()
    assert apply(api, NAMESPACE, SERVICE) == ["Service devstack/minio"]
    assert len(api.writes) == 1


def test_a_dry_run_names_object_and_field_and_writes_nothing() -> None:
    api = FakeApi()
    api.add(NAMESPACE)
    apply(api, SERVICE)
    del api.objects[path_of(NAMESPACE)]
    api.objects[path_of(SERVICE)]["spec"]["selector"]["app"] = "other"
    api.requests.clear()
    found = [str(difference) for difference in differing(api.client(), [NAMESPACE, SERVICE])]
    assert found == ["Namespace devstack (missing)", "Service devstack/minio (spec.selector.app)"]
    assert api.writes == []


def test_writes_are_counted_by_the_client() -> None:
    api = FakeApi()
    client = api.client()
    apply_all(client, [NAMESPACE], timeout=1, clock=FakeClock())
    assert client.writes == 1
    apply_all(client, [NAMESPACE], timeout=1, clock=FakeClock())
    assert client.writes == 1


def test_a_webhook_that_is_not_ready_yet_is_awaited() -> None:
    api = FakeApi()
    api.add(NAMESPACE)
    for _ in range(3):
        api.refuse("PATCH", "/minio", 500, "InternalError", "failed calling webhook")
    assert apply(api, SERVICE) == ["Service devstack/minio"]


def test_a_webhook_that_never_becomes_ready_is_named_at_the_timeout() -> None:
    api = FakeApi()
    for _ in range(100):
        api.refuse("PATCH", "/minio", 500, "InternalError", "failed calling webhook x")
    with pytest.raises(DevstackError, match="failed calling webhook x") as caught:
        apply(api, SERVICE, timeout=2)
    assert caught.value.code == "WAIT_TIMEOUT"
    assert "Service devstack/minio" in caught.value.message


def test_a_terminating_namespace_is_awaited_and_recreated_with_its_objects() -> None:
    api = FakeApi()
    apply(api, NAMESPACE, SERVICE)
    api.objects[path_of(NAMESPACE)]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    class DeletingClock(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            api.objects.clear()

    done = apply_all(api.client(), [NAMESPACE, SERVICE], timeout=10, clock=DeletingClock())
    assert done == ["Namespace devstack", "Service devstack/minio"]


def test_a_permanent_error_is_raised_immediately() -> None:
    api = FakeApi()
    api.refuse("PATCH", "/minio", 403, "Forbidden", "you may not")
    with pytest.raises(ForbiddenError, match="you may not") as caught:
        apply(api, SERVICE)
    assert caught.value.code == "API_FORBIDDEN"


def test_an_immutable_field_has_a_remedy() -> None:
    api = FakeApi()
    api.add(NAMESPACE)
    template = {
        "metadata": {"labels": {"app": "minio"}},
        "spec": {"containers": [{"name": "main", "image": "x:1"}], "restartPolicy": "Never"},
    }
    job: Object = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "setup", "namespace": "devstack"},
        "spec": {"template": template},
    }
    apply(api, job)
    template["spec"] = {**template["spec"], "containers": [{"name": "main", "image": "x:2"}]}
    with pytest.raises(InvalidError, match=r"spec\.template: .* immutable") as caught:
        apply(api, job)
    assert "devstack down" in caught.value.remedy


def test_a_new_kind_is_awaited_until_it_is_served() -> None:
    api = FakeApi()
    clock = FakeClock()

    class Serving(FakeClock):
        def sleep(self, seconds: float) -> None:
            clock.sleep(seconds)
            api.objects[path_of(CRD)]["status"] = {
                "conditions": [{"type": "Established", "status": "True"}]
            }

    apply_all(api.client(), [CRD], timeout=10, clock=Serving())
    assert clock.slept


def test_an_object_of_a_new_kind_follows_when_it_is_served_before_the_controller() -> None:
    api = FakeApi()
    jobset = {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": "ring", "namespace": "devstack"},
    }

    class Serving(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            api.objects[path_of(CRD)]["status"] = {
                "conditions": [{"type": "Established", "status": "True"}]
            }

    # It is established, but the server does not know it yet.
    missing = "the server could not find the requested resource"
    api.refuse("PATCH", "/jobsets/ring", 404, "NotFound", missing)
    objects = [deployment("controller"), jobset, SERVICE, CRD, NAMESPACE]
    written = apply_all(api.client(), objects, timeout=10, clock=Serving())
    assert len(written) == len(objects)
    paths = list(dict.fromkeys(path for _, path in api.writes))
    assert paths.index(path_of(CRD)) < paths.index(path_of(SERVICE))
    assert paths[-2:] == [path_of(jobset), path_of(objects[0])]
    assert path_of(jobset) in api.objects


def test_accounts_are_created_before_tokens_and_workloads_last() -> None:
    api = FakeApi()
    metadata = {"name": "robot", "namespace": "devstack"}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    token = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
    runs = deployment("robot")
    apply(api, runs, token, account, NAMESPACE)
    kinds = [path.split("/")[-2] for _, path in api.writes]
    assert kinds == ["namespaces", "serviceaccounts", "secrets", "deployments"]


def test_names_of_another_kind_fail_immediately() -> None:
    api = FakeApi()
    taken = {"type": "NamesAccepted", "status": "False", "message": "jobsets is taken"}
    api.add(ours({**CRD, "spec": {}, "status": {"conditions": [taken]}}))
    with pytest.raises(DevstackError, match="jobsets is taken"):
        apply(api, CRD)


def test_a_foreign_object_is_not_adopted() -> None:
    api = FakeApi()
    api.add(NAMESPACE)
    with pytest.raises(DevstackError, match="Namespace devstack already exists") as caught:
        apply(api, NAMESPACE, SERVICE)
    assert caught.value.code == "OBJECT_FOREIGN"
    assert api.writes == []


def test_a_foreign_object_is_not_deleted() -> None:
    api = FakeApi()
    api.add(NAMESPACE, ours(SERVICE))
    deleted = delete_all(api.client(), [SERVICE, NAMESPACE], timeout=5, clock=FakeClock())
    assert deleted == ["Service devstack/minio"]
    assert path_of(NAMESPACE) in api.objects


def test_objects_that_kubectl_applied_from_the_same_files_are_adopted() -> None:
    api = FakeApi()
    api.add(ours(SERVICE))
    assert apply(api, SERVICE) == []


def test_deleting_waits_for_all_and_ignores_missing_objects() -> None:
    api = FakeApi()
    api.add(ours(SERVICE))
    deleted = delete_all(api.client(), [SERVICE, NAMESPACE], timeout=5, clock=FakeClock())
    assert deleted == ["Service devstack/minio"]
    assert api.objects == {}
