from __future__ import annotations

import pytest

from devstack.kube.client import KubeClient, Object
from devstack.kube.resources import JOBSET
from devstack.services.base import ServiceContext
from devstack.services.jobset import CERTIFICATE_ANNOTATION, JobSetService
from devstack.state import StackState
from devstack.waits import Failed, Ready, Waiting
from tests.fakes.api import FakeApi, available, definition, namespace

HOOKS = {
    "MutatingWebhookConfiguration": "jobset-mutating-webhook-configuration",
    "ValidatingWebhookConfiguration": "jobset-validating-webhook-configuration",
}


def configuration(kind: str, authority: str = "Q0E=") -> Object:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": HOOKS[kind]},
        "webhooks": [
            {
                "name": "one",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": {"caBundle": authority},
            }
        ],
    }


@pytest.fixture
def api() -> FakeApi:
    up = FakeApi()
    up.add(available("jobset-controller", "jobset-system"))
    up.add(*(configuration(kind) for kind in HOOKS))
    up.add(namespace("metaflow"), definition(JOBSET, "JobSet"))
    return up


def context(kube: KubeClient) -> ServiceContext:
    return ServiceContext(StackState("mine"), kube)


def wrote(api: FakeApi) -> KubeClient:
    """A client that has written something, as during `up`."""
    client = api.client()
    client.apply(configuration("MutatingWebhookConfiguration"))
    api.requests.clear()
    return client


def test_an_unchanged_stack_is_not_probed(api: FakeApi) -> None:
    assert JobSetService().observe(context(api.client())) == Ready()
    assert api.writes == []


def test_the_webhook_is_tested_without_creating_anything(api: FakeApi) -> None:
    before = set(api.objects)
    JobSetService().observe(context(wrote(api)))
    assert api.writes == [("POST", "/apis/jobset.x-k8s.io/v1alpha2/namespaces/metaflow/jobsets")]
    assert set(api.objects) == before


def test_a_webhook_that_sets_no_defaults_is_awaited(api: FakeApi) -> None:
    observation = JobSetService().observe(context(wrote(api)))
    assert observation == Waiting("the JobSet webhook does not set defaults yet")


def test_a_webhook_that_does_not_answer_is_awaited(api: FakeApi) -> None:
    api.refuse("POST", "/jobsets", 500, "InternalError", "connection refused")
    observation = JobSetService().observe(context(wrote(api)))
    assert isinstance(observation, Waiting)
    assert "connection refused" in observation.reason


def test_a_webhook_that_rejects_a_plain_jobset_fails_the_wait(api: FakeApi) -> None:
    api.refuse("POST", "/jobsets", 422, "Invalid", "no")
    assert isinstance(JobSetService().observe(context(wrote(api))), Failed)


def test_a_missing_certificate_authority_is_awaited(api: FakeApi) -> None:
    api.add(configuration("ValidatingWebhookConfiguration", authority=""))
    observation = JobSetService().observe(context(api.client()))
    assert isinstance(observation, Waiting)
    assert "jobset-validating-webhook-configuration" in observation.reason


POD = "/api/v1/namespaces/jobset-system/pods/controller"


@pytest.fixture
def unready(api: FakeApi) -> FakeApi:
    """A controller that has written its certificate, but does not have it in its volume yet."""
    deployment = available("jobset-controller", "jobset-system")
    deployment["status"]["availableReplicas"] = 0
    labels = {"app.kubernetes.io/name": "jobset"}
    metadata = {"name": "controller", "namespace": "jobset-system", "labels": labels}
    api.add(deployment, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
    api.add(certificate({"tls.crt": "Q0E="}))
    return api


def certificate(data: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "jobset-webhook-server-cert",
            "namespace": "jobset-system",
            "resourceVersion": "7",
        },
        "data": data,
    }


def test_the_kubelet_mounts_the_certificate_immediately(unready: FakeApi) -> None:
    """By itself it would within a minute or so; a changed annotation makes it sync the pod."""
    kube = wrote(unready)
    for _ in range(2):
        assert isinstance(JobSetService().observe(context(kube)), Waiting)
    assert unready.writes == [("PATCH", POD)]
    assert unready.objects[POD]["metadata"]["annotations"] == {CERTIFICATE_ANNOTATION: "7"}


def test_a_certificate_that_is_not_written_yet_is_not_mounted(unready: FakeApi) -> None:
    unready.add(certificate({}))
    assert isinstance(JobSetService().observe(context(wrote(unready))), Waiting)
    assert unready.writes == []


def test_a_controller_pod_deleted_in_between_is_ignored(unready: FakeApi) -> None:
    unready.refuse("PATCH", "/pods/controller", 422, "Invalid", "spec.containers: Required")
    assert isinstance(JobSetService().observe(context(wrote(unready))), Waiting)


def test_observing_a_controller_that_is_not_ready_writes_nothing(unready: FakeApi) -> None:
    assert isinstance(JobSetService().observe(context(unready.client())), Waiting)
    assert unready.writes == []


def test_the_controller_comes_first() -> None:
    observation = JobSetService().observe(context(FakeApi().client()))
    assert observation == Waiting("Deployment jobset-system/jobset-controller does not exist yet")


def test_the_controller_runs_without_leader_election() -> None:
    objects = JobSetService().manifests(ServiceContext(StackState("mine")))
    (deployment,) = (item for item in objects if item["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert "--leader-elect=false" in container["args"]
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
