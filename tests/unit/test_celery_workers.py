"""Celery workers that are removed, restarted or stopped, and who waits for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from devstack.kube import manifests
from devstack.kube.client import Object
from devstack.lifecycle import backup
from devstack.lifecycle.celery_workers import (
    TASKS_TIMEOUT,
    finish_tasks,
    report_ending_workers,
    restart_outdated_workers,
    stop_workers,
)
from devstack.lifecycle.node_loading import NodeLoading
from devstack.lifecycle.service_steps import service_steps
from devstack.services.airflow.service import AirflowService
from devstack.stack import Stack
from tests.fakes.airflow import airflow_stack
from tests.fakes.api import FakeApi, pod
from tests.fakes.runner import FakeClock, Recorder

LABELS = {"component": "celery-worker", "app.kubernetes.io/part-of": "devstack"}
SERVICE = AirflowService()
HOURS = 3600


class Clock(FakeClock):
    """A clock that calls a function whenever time passes."""

    on_sleep: Callable[[], None] = staticmethod(lambda: None)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.on_sleep()


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stack(api: FakeApi, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack with two Celery workers."""
    made = airflow_stack(1, tmp_path)
    made.clock = clock
    made.services = [SERVICE]
    made.state.airflow = {"executor": "CeleryExecutor", "workers": 2}
    made.dir.admin_kubeconfig.write_text("")
    monkeypatch.setattr(made, "kube", lambda *_a, **_o: api.client())
    kept = ("Namespace", "StatefulSet")
    api.add(*(item for item in made.manifests(SERVICE) if item["kind"] in kept))
    api.add(pod("airflow-worker-0", "airflow", LABELS), pod("airflow-worker-1", "airflow", LABELS))
    return made


def names(api: FakeApi, kind: str = "Pod") -> list[str]:
    return [each["metadata"]["name"] for each in api.objects.values() if each["kind"] == kind]


def delete_pods(api: FakeApi) -> None:
    api.objects = {path: item for path, item in api.objects.items() if item["kind"] != "Pod"}


def mark_ending(api: FakeApi) -> None:
    for item in api.objects.values():
        if item["kind"] == "Pod":
            item["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"


def messages(stack: Stack, kind: str) -> list[str]:
    assert isinstance(stack.progress, Recorder)
    return [event[1] for event in stack.progress.events if event[0] == kind]


def graces(api: FakeApi) -> list[str]:
    """Return the seconds that pods got in requests to delete them."""
    made = zip(api.requests, api.queries, strict=True)
    return [
        str(query.get("gracePeriodSeconds"))
        for (method, path), query in made
        if method == "DELETE" and "/pods/" in path
    ]


def test_a_worker_may_finish_a_task_of_hours() -> None:
    [worker] = [each for each in manifests.load("airflow/celery") if each["kind"] == "StatefulSet"]
    assert worker["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= 6 * HOURS


def test_the_tasks_of_workers_that_no_executor_needs_any_more_are_finished(
    api: FakeApi, clock: Clock, stack: Stack
) -> None:
    stack.state.airflow = {}

    def pass_time() -> None:
        if clock.now() > 1060:
            delete_pods(api)

    clock.on_sleep = pass_time
    finish_tasks(stack, SERVICE)
    assert 60 <= clock.now() - 1000 < TASKS_TIMEOUT
    assert "airflow-worker-0, airflow-worker-1 finish their tasks" in messages(stack, "note")[0]
    assert messages(stack, "warn") == graces(api) == []


def test_tasks_that_take_too_long_are_stopped_before_the_broker_goes(
    api: FakeApi, clock: Clock, stack: Stack
) -> None:
    stack.state.airflow = {}
    finish_tasks(stack, SERVICE)
    assert clock.now() - 1000 >= TASKS_TIMEOUT
    assert "these are stopped, and retried" in messages(stack, "warn")[0]
    assert graces(api) == ["10", "10"]
    assert names(api) == []


def test_an_interrupted_up_waits_for_the_workers_again(api: FakeApi, stack: Stack) -> None:
    steps = service_steps(stack, NodeLoading(stack))
    [tidy] = [step for step in steps if step.name == "tidy-airflow"]
    stack.state.airflow = {}
    tidy.ensure()
    assert tidy.is_done()
    api.add(pod("airflow-worker-0", "airflow", LABELS))
    assert not tidy.is_done()


def test_workers_that_the_settings_need_are_not_waited_for(clock: Clock, stack: Stack) -> None:
    finish_tasks(stack, SERVICE)
    assert clock.now() == 1000


def test_workers_that_go_on_are_named(api: FakeApi, stack: Stack) -> None:
    report_ending_workers(stack)
    assert messages(stack, "warn") == []
    mark_ending(api)
    report_ending_workers(stack)
    [warning] = messages(stack, "warn")
    assert "when theirs have ended: airflow-worker-0 airflow-worker-1" in warning


WRITTEN = ["StatefulSet airflow/airflow-worker"]


def test_all_workers_restart_with_new_settings_at_the_same_time(
    api: FakeApi, clock: Clock, stack: Stack
) -> None:
    [workers] = [item for item in api.objects.values() if item["kind"] == "StatefulSet"]
    workers["metadata"]["generation"] = 2
    workers["status"] = {"observedGeneration": 1, "updateRevision": "old"}

    def update() -> None:
        workers["status"] = {"observedGeneration": 2, "updateRevision": "new"}

    clock.on_sleep = update
    updated = pod("airflow-worker-2", "airflow", {**LABELS, "controller-revision-hash": "new"})
    api.add(updated)
    restart_outdated_workers(stack, SERVICE, [])
    assert api.writes == []
    restart_outdated_workers(stack, SERVICE, WRITTEN)
    assert names(api) == ["airflow-worker-2"]
    assert graces(api) == ["None", "None"], "they finish their tasks"


def test_a_service_that_is_removed_does_not_wait_for_its_workers(
    api: FakeApi, stack: Stack
) -> None:
    stop_workers(stack, SERVICE)
    assert graces(api) == ["10", "10"]
    assert names(api) == names(api, "StatefulSet") == []


def test_the_workers_of_others_are_not_stopped(api: FakeApi, stack: Stack) -> None:
    [namespace] = [item for item in api.objects.values() if item["kind"] == "Namespace"]
    namespace["metadata"]["labels"] = {}
    stop_workers(stack, SERVICE)
    assert api.writes == []


def test_a_backup_stops_the_workers_which_write_to_the_volume(api: FakeApi, stack: Stack) -> None:
    def with_claim(item: Object) -> Object:
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "airflow"}}]
        return {**item, "spec": {**item["spec"], "volumes": volumes}}

    for path, item in list(api.objects.items()):
        if item["kind"] == "Pod":
            api.objects[path] = with_claim(item)
    backup._scale_down(stack, stack.kube())
    assert names(api) == names(api, "StatefulSet") == []
