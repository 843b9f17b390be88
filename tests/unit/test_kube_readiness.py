from __future__ import annotations

from typing import Any

from devstack.kube.client import Object
from devstack.kube.readiness import observe_deployment
from devstack.waits import Failed, Observation, Ready, Waiting
from tests.fakes.api import FakeApi, available, deployment, pod, replica_set, waiting


def observe(*objects: Object) -> Observation:
    api = FakeApi()
    api.add(*objects)
    return observe_deployment(api.client(), "devstack", "minio")


def pod_of(revision: int, name: str, **status: Any) -> Object:
    return pod(name, labels={"app": "minio", "pod-template-hash": f"r{revision}"}, **status)


PULL = [waiting("ErrImagePull", "not found")]


def test_an_available_deployment_is_ready_with_one_request() -> None:
    api = FakeApi()
    api.add(available("minio"))
    assert observe_deployment(api.client(), "devstack", "minio") == Ready()
    assert len(api.requests) == 1


def test_a_missing_deployment_is_awaited() -> None:
    assert observe() == Waiting("Deployment devstack/minio does not exist yet")


def test_a_change_that_the_controller_has_not_observed_is_awaited() -> None:
    live = available("minio")
    live["metadata"]["generation"] = 2
    assert isinstance(observe(live), Waiting)


def test_a_surplus_pod_of_the_old_revision_is_awaited() -> None:
    live = available("minio")
    live["status"]["replicas"] = 2
    assert isinstance(observe(live), Waiting)


def test_the_failing_pod_is_named() -> None:
    observation = observe(
        deployment("minio"),
        replica_set("minio", 1, 1),
        pod_of(1, "minio-1", containerStatuses=PULL),
    )
    assert isinstance(observation, Failed)
    assert "pod devstack/minio-1" in observation.reason


def test_a_broken_pod_of_an_older_revision_is_ignored() -> None:
    observation = observe(
        deployment("minio"),
        replica_set("minio", 9, 0),
        replica_set("minio", 10, 1),
        pod_of(9, "minio-9", containerStatuses=PULL),
        pod_of(10, "minio-10"),
    )
    assert isinstance(observation, Waiting)
    assert "minio-10" in observation.reason


def test_a_revision_scaled_to_zero_is_ignored() -> None:
    observation = observe(
        deployment("minio"),
        replica_set("minio", 1, 0),
        pod_of(1, "minio-1", containerStatuses=PULL),
    )
    assert observation == Waiting("Deployment devstack/minio has no pod yet")


def test_rejected_pods_are_reported_with_the_reason() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    observation = observe(deployment("minio", conditions=[failure]))
    assert observation == Waiting("Deployment devstack/minio: exceeded quota")
