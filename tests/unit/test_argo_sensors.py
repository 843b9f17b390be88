"""Sensors of deployed flows: written, awaited, explained and deleted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from devstack.deployers.argo import sensors
from devstack.deployers.argo.deployer import ArgoDeployer, open_deployer
from devstack.deployers.argo.sensors import CHECKSUM, build_sensor, sensor_name
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.client import Object
from devstack.kube.resources import ARGO
from devstack.kube.workflows import SENSOR_LABEL as RUN_LABEL
from devstack.kube.workflows import parse_workflow
from devstack.services.argo_events import SENSOR_LABEL, SENSORS
from devstack.stack import Stack
from tests.fakes.airflow import airflow_stack
from tests.fakes.api import FakeApi, available, namespace, pod, waiting
from tests.fakes.runner import FakeClock
from tests.unit.test_argo_runs import COMPILED, error_of, silent, workflow

LOG = f"/api/v1/namespaces/{SENSORS}/pods/myflow-sensor-1/log"
SUBSCRIBED = '{"msg":"Subscribing to subject default.argo-events-webhook.metaflow-event"}'


def sensor(size: int = 1) -> Object:
    """A sensor as Metaflow compiles it."""
    return {
        "metadata": {"name": "myflow", "namespace": "metaflow"},
        "spec": {
            "template": {"serviceAccountName": "argo-sensor"},
            "triggers": [{"template": {"name": "myflow", "size": size}}],
        },
    }


EVENTS = replace(COMPILED, sensor=sensor())


class Events(FakeClock):
    """The controller of Argo Events: it starts pods while a command waits."""

    def __init__(self, api: FakeApi, log: str = SUBSCRIBED, **status: Any) -> None:
        super().__init__()
        self._api, self._log, self._status = api, log, status

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.reconcile()

    def reconcile(self) -> None:
        """Do what the controller does when it sees the sensor."""
        live = self._api.client().find(ARGO, "Sensor", "myflow", SENSORS)
        if live is None:
            return
        labels = {SENSOR_LABEL: "myflow"}
        metadata = live["spec"]["template"]["metadata"]
        owned = available("myflow-sensor-x2k9q", SENSORS)
        owned["metadata"]["labels"] = labels
        owned["spec"]["selector"] = {"matchLabels": labels}
        owned["spec"]["template"]["metadata"] = {"labels": labels, **metadata}
        self._api.add(owned)
        started = pod("myflow-sensor-1", namespace=SENSORS, labels=labels, **self._status)
        started["metadata"]["annotations"] = metadata["annotations"]
        self._api.add(started)
        self._api.logs[LOG] = self._log


@pytest.fixture
def api() -> FakeApi:
    up = FakeApi()
    up.add(namespace("metaflow"), namespace(SENSORS))
    return up


@pytest.fixture
def stack(tmp_path: Path, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Stack:
    found = airflow_stack(1, tmp_path)
    monkeypatch.setattr(found, "kube", lambda *_arguments, **_options: api.client())
    found.clock = Events(api)
    return found


@pytest.fixture
def argo(stack: Stack) -> ArgoDeployer:
    return open_deployer(stack)


def stored(api: FakeApi) -> Object | None:
    return api.client().find(ARGO, "Sensor", "myflow", SENSORS)


def test_a_sensor_is_written_where_the_controller_looks_and_its_subscription_awaited(
    argo: ArgoDeployer, api: FakeApi
) -> None:
    notes: list[str] = []
    deployment = argo.deliver(EVENTS, notes.append)
    assert deployment.details["sensor"] == "myflow"
    live = stored(api)
    assert live is not None
    assert live["kind"] == "Sensor"
    assert "the sensor starts" in notes
    assert ("GET", LOG) in api.requests


def test_a_sensors_pods_of_an_earlier_deployment_are_not_enough(
    argo: ArgoDeployer, api: FakeApi, stack: Stack
) -> None:
    argo.deliver(EVENTS, silent)
    slept = len(stack.clock.slept)  # type: ignore[attr-defined]
    argo.deliver(replace(EVENTS, sensor=sensor(size=2)), silent)
    assert len(stack.clock.slept) > slept  # type: ignore[attr-defined]
    live = stored(api)
    assert live is not None
    assert live["spec"]["triggers"][0]["template"]["size"] == 2


def test_a_sensor_that_has_run_for_a_while_needs_no_log(
    argo: ArgoDeployer, api: FakeApi, stack: Stack
) -> None:
    running = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    stack.clock = Events(api, "", containerStatuses=[{"name": "main", "state": running}])
    argo.deliver(EVENTS, silent)


def test_a_sensor_that_does_not_subscribe_ends_the_wait_with_a_next_step(
    argo: ArgoDeployer, api: FakeApi, stack: Stack
) -> None:
    stack.clock = Events(api, "failed to connect to event bus")
    error = error_of(argo.deliver, EVENTS, silent)
    assert (error.code, error.exit_status) == ("WAIT_TIMEOUT", ExitStatus.TIMEOUT)
    assert "has not subscribed" in (error.cause or "")
    assert f"logs -n {SENSORS}" in (error.remedy or "")
    assert sum(stack.clock.slept) <= sensors.READY_TIMEOUT


def test_what_the_controller_says_is_the_cause(argo: ArgoDeployer, api: FakeApi) -> None:
    class Refusing(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            live = stored(api)
            assert live is not None
            message = "EventBus not found."
            condition = {"type": "Deployed", "status": "False", "message": message}
            api.add({**live, "status": {"conditions": [condition]}})

    argo.stack.clock = Refusing()
    assert "EventBus not found." in (error_of(argo.deliver, EVENTS, silent).cause or "")


def test_a_sensors_pod_that_cannot_start_is_named_at_once(
    argo: ArgoDeployer, api: FakeApi, stack: Stack
) -> None:
    class Unavailable(Events):
        def reconcile(self) -> None:
            super().reconcile()
            (owned,) = api.client().list_objects("apps/v1", "Deployment", SENSORS)
            owned["status"] = {}
            uid = {"deployment.kubernetes.io/revision": "1"}
            labels = {SENSOR_LABEL: "myflow", "pod-template-hash": "1"}
            metadata = {"name": "r", "namespace": SENSORS, "annotations": uid, "labels": labels}
            api.add(owned, {**REPLICA_SET, "metadata": metadata})
            (started,) = api.client().list_objects("v1", "Pod", SENSORS)
            started["metadata"]["labels"] = labels
            api.add(started)

    state = waiting("ImagePullBackOff", "no such image")
    stack.clock = Unavailable(api, phase="Pending", containerStatuses=[state])
    error = error_of(argo.deliver, EVENTS, silent)
    assert error.code == "IMAGE_PULL_FAILED"
    assert "myflow-sensor-1" in (error.cause or "")


REPLICA_SET: Object = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": {"replicas": 1}}


def test_a_deployment_without_events_has_no_sensor(argo: ArgoDeployer, api: FakeApi) -> None:
    argo.deliver(EVENTS, silent)
    live = stored(api)
    assert live is not None
    _forget_pods(api)
    argo.deliver(COMPILED, silent)
    assert stored(api) is None


def test_a_deleted_deployment_has_no_sensor(argo: ArgoDeployer, api: FakeApi) -> None:
    argo.deliver(EVENTS, silent)
    _forget_pods(api)
    argo.delete("myflow", force=False)
    assert stored(api) is None


def test_a_sensor_whose_pod_does_not_end_is_reported(
    argo: ArgoDeployer, api: FakeApi, stack: Stack
) -> None:
    argo.deliver(EVENTS, silent)
    stack.clock = FakeClock()
    error = error_of(argo.delete, "myflow", force=False)
    assert error.code == "WAIT_TIMEOUT"
    assert "myflow-sensor-1 is terminating" in (error.cause or "")


def _forget_pods(api: FakeApi) -> None:
    """Kubernetes deletes what a deleted sensor owned."""
    for path in [each for each in api.objects if f"/{SENSORS}/pods/" in each]:
        del api.objects[path]


def test_a_sensor_is_named_as_metaflow_names_it() -> None:
    assert sensor_name("project.user.me.myflow") == "project-user-me-myflow"


def test_the_checksum_covers_the_whole_sensor() -> None:
    first, same, other = (build_sensor(sensor(size)) for size in (1, 1, 2))
    sums = [
        each["spec"]["template"]["metadata"]["annotations"][CHECKSUM]
        for each in (first, same, other)
    ]
    assert sums[0] == sums[1] != sums[2]
    assert "metadata" not in sensor()["spec"]["template"]


def test_a_compiled_file_has_the_sensor(argo: ArgoDeployer, tmp_path: Path) -> None:
    path = argo.write(EVENTS, tmp_path)
    template, live = yaml.safe_load_all(path.read_text())
    assert template["kind"] == "WorkflowTemplate"
    assert (live["apiVersion"], live["kind"]) == (ARGO, "Sensor")
    assert live == build_sensor(sensor())
    assert live["metadata"]["namespace"] == SENSORS


def test_a_run_that_an_event_started_is_told_apart() -> None:
    item = workflow()
    item["metadata"]["labels"] = {RUN_LABEL: "myflow"}
    assert parse_workflow(item).kind == "event"
    assert parse_workflow(workflow()).kind == "manual"


def test_a_concurrent_deployment_is_reported(argo: ArgoDeployer, api: FakeApi) -> None:
    argo.deliver(EVENTS, silent)
    api.refuse("PUT", "/sensors/myflow", 409, "Conflict", "the object has been modified")
    with pytest.raises(DevstackError) as caught:
        argo.deliver(EVENTS, silent)
    assert caught.value.code == "DEPLOYED_MEANWHILE"
