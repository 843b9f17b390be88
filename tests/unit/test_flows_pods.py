from __future__ import annotations

from typing import Any

import pytest

from devstack import schema
from devstack.flows.pods import describe_pod, describe_pods, list_pods
from devstack.flows.timing import measure
from devstack.schema import dump
from tests.fakes.api import FakeApi
from tests.support.task_objects import NAMESPACE, RUN, task_pod


def at(second: int) -> str:
    return f"2026-11-21T12:00:{second:02}Z"


def test_a_run_has_its_own_pods_only() -> None:
    api = FakeApi()
    api.add(task_pod("mine"), task_pod("other", run_id="17"))
    assert [pod["metadata"]["name"] for pod in list_pods(api.client(), NAMESPACE, RUN)] == ["mine"]


def test_a_run_without_an_id_has_no_pods() -> None:
    api = FakeApi()
    api.add(task_pod("other", run_id=""))
    assert list_pods(api.client(), NAMESPACE, "") == []


def test_a_pod_is_described_with_what_the_checks_read() -> None:
    pod = describe_pod(
        task_pod(
            "t-1",
            "train",
            attempt=2,
            jobset="js-1",
            phase="Failed",
            started=at(4),
            ended=at(9),
            reason="OOMKilled",
        )
    )
    assert dump(schema.TaskPod, pod) == {
        "name": "t-1",
        "step": "train",
        "attempt": 2,
        "jobset": "js-1",
        "phase": "Failed",
        "reason": "OOMKilled",
        "message": "",
        "exit_status": 1,
        "cpu": "200m",
        "deadline_seconds": 120,
        "seconds": 5.0,
    }


@pytest.mark.parametrize(
    ("phase", "states", "expected"),
    [
        ("Running", [{"terminated": {"exitCode": 0}}], "Succeeded"),
        ("Running", [{"terminated": {"exitCode": 3}}], "Failed"),
        ("Running", [{"terminated": {"exitCode": 0}}, {"running": {}}], "Running"),
        ("Running", [], "Running"),
        # The node ended the pod, regardless of its container's status.
        ("Failed", [{"terminated": {"exitCode": 0}}], "Failed"),
        ("Pending", [{"waiting": {}}], "Pending"),
    ],
)
def test_a_pod_has_ended_when_all_its_containers_have(
    phase: str, states: list[dict[str, Any]], expected: str
) -> None:
    statuses = [{"name": "work", "state": state} for state in states]
    assert describe_pod(task_pod("t-1", phase=phase, containerStatuses=statuses)).phase == expected


def test_a_pod_that_has_not_started_has_no_times() -> None:
    pod = describe_pod(task_pod("t-1", phase="Pending"))
    assert (pod.started, pod.ended, pod.seconds) == (None, None, 0.0)


def test_time_is_split_into_running_waiting_and_metaflows_own() -> None:
    pods = describe_pods(
        [
            task_pod("b", created=at(12), started=at(14), ended=at(20)),
            task_pod("a", created=at(1), started=at(3), ended=at(10)),
            task_pod("c", created=at(2), started=at(4), ended=at(9)),
        ]
    )
    timing = measure(25.0, pods)
    assert [pod.name for pod in pods] == ["a", "c", "b"]
    assert (timing.running, timing.waiting, timing.overhead) == (13.0, 4.0, 8.0)


def test_a_run_without_pods_is_all_metaflows_own() -> None:
    assert measure(3.0, []).overhead == 3.0
