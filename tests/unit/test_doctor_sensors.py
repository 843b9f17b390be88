"""The check of sensors."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.doctor.check import NotApplicableError
from devstack.doctor.sensors import SENSORS_CHECKS
from devstack.kube.resources import ARGO
from devstack.services import SERVICES
from devstack.services.argo_events import SENSORS
from devstack.stack import Stack
from tests.fakes.airflow import airflow_stack
from tests.fakes.api import FakeApi, available

(CHECK,) = SENSORS_CHECKS
SENSOR = {
    "apiVersion": ARGO,
    "kind": "Sensor",
    "metadata": {"name": "mine", "namespace": SENSORS},
}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def stack(tmp_path: Path, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Stack:
    found = airflow_stack(1, tmp_path)
    monkeypatch.setattr(found, "kube", lambda *_arguments, **_options: api.client())
    return found


@pytest.mark.breaks("sensors")
def test_a_sensor_that_does_not_run_is_found_with_what_the_controller_says(
    stack: Stack, api: FakeApi
) -> None:
    condition = {"type": "Deployed", "status": "False", "message": "EventBus not found."}
    api.add({**SENSOR, "status": {"conditions": [condition]}})
    (finding,) = CHECK.probe(stack)
    assert finding.code == "SENSOR_STOPPED"
    assert "mine" in finding.cause
    assert "EventBus not found." in finding.cause
    assert SENSORS in finding.remedy


def test_sensors_that_run_are_well(stack: Stack, api: FakeApi) -> None:
    running = available("mine-sensor-x2k9q", SENSORS)
    running["metadata"]["labels"] = {"sensor-name": "mine"}
    api.add(SENSOR, running)
    assert CHECK.probe(stack) == []


def test_a_stack_without_argo_events_has_nothing_to_check(stack: Stack) -> None:
    stack.services = tuple(each for each in SERVICES if each.name != "argo-events")
    with pytest.raises(NotApplicableError):
        CHECK.probe(stack)
