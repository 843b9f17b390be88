"""Flows start when events are published, also if parts of the stack fail meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from kubernetes import client

from devstack.errors import ExitStatus
from tests.airflow.metaflow_client import run_client
from tests.argo.flows_on_argo import (
    FLOWS,
    RUN_SECONDS,
    argo,
    artifact,
    deploy,
    in_shell,
    objects,
    succeeded,
)
from tests.argo.rbac_matrix import EVENTS_ACCOUNTS
from tests.support.commandline import Devstack
from tests.support.engine_values import TEXT
from tests.support.eventually import eventually
from tests.support.rights import Permission, connect, is_allowed

SENSORS = "argo-sensors"
REDELIVERY = 45.0
"""Seconds after which the bus has delivered an event again that was not acknowledged: over 30."""

CASES = [
    pytest.param(*account, permission, id=f"{account[1]} {permission}")
    for account, permissions in EVENTS_ACCOUNTS.items()
    for permission in permissions
]
pytestmark = pytest.mark.usefixtures("clean")


def publish(stack: Devstack, name: str = "shipment", **payload: Any) -> str:
    """Publish an event from the host, as a user does; return its id."""
    lines = (
        "from metaflow.integrations import ArgoEvent",
        f"event = ArgoEvent({name!r}, payload={payload!r})",
        "found = event.publish(ignore_errors=False)",
    )
    return str(run_client(stack, "\n".join(lines)))


def runs(stack: Devstack, template: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = argo(stack, "runs", template)["data"]["runs"]
    return found


def started(stack: Devstack, template: str, number: int = 1) -> list[dict[str, Any]]:
    """Wait until a deployment has that many runs; return them."""
    what = f"{number} runs of {template}"
    eventually(what, lambda: len(runs(stack, template)) >= number, timeout=120, interval=1)
    found = runs(stack, template)
    assert len(found) == number
    return found


def ended(stack: Devstack, template: str) -> dict[str, Any]:
    """Wait until the only run of a deployment has succeeded; return it."""
    started(stack, template)

    def final() -> bool:
        return runs(stack, template)[0]["state"] in ("succeeded", "failed", "error")

    eventually(f"the run of {template} to end", final, timeout=RUN_SECONDS, interval=2)
    (run,) = runs(stack, template)
    assert run["state"] == "succeeded"
    return run


def pods(stack: Devstack, namespace: str, selector: str) -> list[dict[str, Any]]:
    query = ("get", "pods", f"--namespace={namespace}", f"--selector={selector}", "--output=json")
    found: list[dict[str, Any]] = json.loads(stack.admin_kubectl(*query).stdout)["items"]
    return found


def sensors(stack: Devstack) -> list[dict[str, Any]]:
    query = ("get", "sensors", f"--namespace={SENSORS}", "--output=json")
    found: list[dict[str, Any]] = json.loads(stack.admin_kubectl(*query).stdout)["items"]
    return found


def kill_bus(stack: Devstack) -> None:
    """Kill the event bus without warning."""
    selector = "--selector=app.kubernetes.io/component=bus"
    options = ("--namespace=argo-events", "--grace-period=0", "--force", "--wait=false")
    stack.admin_kubectl("delete", "pods", selector, *options)


def scale_sensor(stack: Devstack, name: str, replicas: int) -> None:
    """Stop or start a sensor, and wait for it; the controller leaves the number as it is."""
    selector = f"sensor-name={name}"
    options = (f"--namespace={SENSORS}", f"--selector={selector}", f"--replicas={replicas}")
    stack.admin_kubectl("scale", "deployments", *options)
    eventually(
        f"{replicas} pods of sensor {name}",
        lambda: len(pods(stack, SENSORS, selector)) == replicas,
        timeout=90,
    )


def test_an_event_from_the_host_starts_a_flow_with_its_parameters(stack: Devstack) -> None:
    template = deploy(stack, "waiter.py")
    publish(stack, "other", boxes=1)
    publish(stack, boxes=3, note='it\'s "quoted" & more')
    run = ended(stack, template)
    assert run["kind"] == "event"
    seen = artifact(stack, "ArgoWaiterFlow", run, "start", "seen")
    assert seen == [3, 'it\'s "quoted" & more']
    assert artifact(stack, "ArgoWaiterFlow", run, "start", "event") == "shipment"


def test_any_text_of_an_event_arrives_exactly(stack: Devstack) -> None:
    template = deploy(stack, "waiter.py")
    publish(stack, boxes=1, note=TEXT)
    run = ended(stack, template)
    assert artifact(stack, "ArgoWaiterFlow", run, "start", "seen") == [1, TEXT]
    # The step has the event itself as JSON, with this text.
    assert artifact(stack, "ArgoWaiterFlow", run, "start", "event") == "shipment"


def test_what_an_event_lacks_has_its_default(stack: Devstack) -> None:
    template = deploy(stack, "waiter.py")
    publish(stack, boxes=4)
    run = ended(stack, template)
    assert artifact(stack, "ArgoWaiterFlow", run, "start", "seen") == [4, "none"]


def test_an_event_from_a_flow_starts_another(stack: Devstack) -> None:
    template = deploy(stack, "waiter.py")
    published = succeeded(stack, "publisher.py")
    run = ended(stack, template)
    assert artifact(stack, "ArgoWaiterFlow", run, "start", "seen")[0] == 5
    assert artifact(stack, "ArgoPublisherFlow", published, "start", "id")


def test_a_flow_starts_when_another_one_has_finished(stack: Devstack) -> None:
    template = deploy(stack, "follower.py")
    succeeded(stack, "line.py", "--param", "text=from the first")
    run = ended(stack, template)
    assert artifact(stack, "ArgoFollowerFlow", run, "start", "seen") == "from the first"


def test_no_event_is_published_without_the_stacks_token(stack: Devstack) -> None:
    template = deploy(stack, "waiter.py")
    url = stack.json("status")["data"]["urls"]["argo-events"]
    body = {"name": "shipment", "payload": {"name": "shipment", "boxes": 1}}
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"x-api-key": "wrong"}):
        assert requests.post(url, json=body, headers=headers, timeout=30).status_code == 401
    publish(stack, boxes=2)
    started(stack, template)


def test_an_event_survives_the_bus_before_its_delivery(stack: Devstack) -> None:
    template = deploy(stack, "waiter.py")
    scale_sensor(stack, template, 0)
    # Its answer means that the bus has stored the event.
    published = [publish(stack, boxes=number) for number in (1, 2)]
    kill_bus(stack)
    scale_sensor(stack, template, 1)
    found = started(stack, template, len(published))
    assert sorted(run["parameters"]["size"] for run in found) == ["1", "2"]
    time.sleep(REDELIVERY)
    assert len(runs(stack, template)) == len(published)


def test_a_bus_that_is_killed_during_delivery_starts_a_flow_once(stack: Devstack) -> None:
    template = deploy(stack, "waiter.py")
    publish(stack, boxes=1)
    kill_bus(stack)
    started(stack, template)
    time.sleep(REDELIVERY)
    assert len(runs(stack, template)) == 1


def test_a_controller_that_is_killed_does_not_stop_events(stack: Devstack) -> None:
    template = deploy(stack, "waiter.py")
    selector = (
        "--selector=app.kubernetes.io/name=argo-events,app.kubernetes.io/component=controller"
    )
    stack.admin_kubectl("delete", "pods", selector, "--namespace=argo-events", "--wait=false")
    publish(stack, boxes=1)
    started(stack, template)


def test_an_event_for_a_flow_that_cannot_start_is_reported_and_stops_no_other(
    stack: Devstack,
) -> None:
    broken = deploy(stack, "waiter.py", "--name", "broken")
    other = deploy(stack, "waiter.py")
    stack.admin_kubectl("delete", "workflowtemplate", broken, "--namespace=metaflow")
    publish(stack, boxes=1)
    started(stack, other)

    def failed() -> list[dict[str, Any]]:
        items = [each for each in objects(stack, "workflows") if _template(each) == broken]
        return [each for each in items if each.get("status", {}).get("phase") == "Error"]

    eventually("Argo to refuse it", failed, timeout=60)
    (workflow,) = failed()
    assert "not found" in workflow["status"]["message"]
    # What `devstack argo delete` does not find any more.
    for kind, namespace in (("sensor", SENSORS), ("workflow", "metaflow")):
        names = [broken] if kind == "sensor" else [workflow["metadata"]["name"]]
        stack.admin_kubectl("delete", kind, *names, f"--namespace={namespace}")


def _template(workflow: dict[str, Any]) -> str:
    return str(workflow["spec"].get("workflowTemplateRef", {}).get("name", ""))


@contextmanager
def no_more_pods(stack: Devstack) -> Iterator[None]:
    """Let the namespace of sensors have no more pods."""
    place = f"--namespace={SENSORS}"
    stack.admin_kubectl("create", "quota", "full", "--hard=pods=1", place)
    try:
        yield
    finally:
        stack.admin_kubectl("delete", "quota", "full", place)


@pytest.mark.breaks("sensors")
def test_a_sensor_whose_pod_cannot_start_is_named(stack: Devstack) -> None:
    with no_more_pods(stack):
        flow = str(FLOWS / "waiter.py")
        done = stack.run("argo", "deploy", flow, "--timeout", "20", "--json", check=False)
        assert done.returncode == ExitStatus.TIMEOUT
        error = json.loads(done.stdout)["error"]
        assert "exceeded quota" in error["cause"]
        checks = stack.json("doctor", check=False)["data"]["checks"]
        (check,) = (each for each in checks if each["name"] == "sensors")
        assert [each["code"] for each in check["findings"]] == ["SENSOR_STOPPED"]
    template = deploy(stack, "waiter.py")
    publish(stack, boxes=1)
    started(stack, template)


def test_a_deleted_deployment_leaves_no_sensor(stack: Devstack) -> None:
    template = deploy(stack, "waiter.py")
    stack.run("argo", "delete", template)
    assert sensors(stack) == []
    assert pods(stack, SENSORS, f"sensor-name={template}") == []


def test_a_deployment_without_events_any_more_has_no_sensor(stack: Devstack) -> None:
    deploy(stack, "waiter.py", "--name", "changed")
    deploy(stack, "line.py", "--name", "changed")
    assert sensors(stack) == []


def test_metaflows_own_command_writes_sensors_that_lose_nothing(stack: Devstack) -> None:
    in_shell(stack, "waiter.py", "create")
    (item,) = sensors(stack)
    (trigger,) = item["spec"]["triggers"]
    assert trigger["atLeastOnce"] is True
    assert trigger["template"]["k8s"]["operation"] == "patch"
    in_shell(stack, "waiter.py", "delete")
    assert sensors(stack) == []


def test_up_with_nothing_to_do_changes_nothing(stack: Devstack) -> None:
    deploy(stack, "waiter.py")
    assert stack.json("up")["data"]["changed"] == []


@pytest.fixture(scope="module")
def admin(stack: Devstack) -> client.AuthorizationV1Api:
    """The API as the cluster's administrator."""
    return connect(stack.directory / "admin.kubeconfig")


@pytest.mark.parametrize(("namespace", "account", "permission"), CASES)
def test_rights(
    admin: client.AuthorizationV1Api, namespace: str, account: str, permission: Permission
) -> None:
    assert is_allowed(admin, namespace, account, permission) == permission.allowed
