"""`devstack why` explains runs of Argo."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devstack.cli import why
from devstack.errors import DevstackError
from devstack.kube.client import Object
from devstack.stack import Stack
from devstack.why.answer import Answer
from tests.fakes.api import FakeApi, available, deployment, namespace, pod, waiting
from tests.fakes.argo import argo_stack, node, template, workflow

CONTROLLER = ("argo-controller", "argo")
Explain = Callable[..., Answer]


@pytest.fixture
def api() -> FakeApi:
    up = FakeApi()
    up.add(namespace("metaflow"), namespace("argo"), available(*CONTROLLER))
    up.add(template())
    return up


@pytest.fixture
def stack(tmp_path: Path, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Stack:
    made = argo_stack(tmp_path, api, monkeypatch)
    made.services = [each for each in made.services if each.name not in ("airflow", "kubeflow")]
    return made


@pytest.fixture
def explain(stack: Stack) -> Explain:
    def explain(name: str = "myflow-1") -> Answer:
        return why._explain(stack, name, "metaflow")

    return explain


def running(*nodes: Object, **status: Any) -> Object:
    return workflow(nodes=nodes, **status)


def pending_pod(of: Object, **status: Any) -> Object:
    made = pod("p", "metaflow", labels={"workflows.argoproj.io/workflow": "myflow-1"}, **status)
    made["metadata"]["annotations"] = {"workflows.argoproj.io/node-id": of["id"]}
    made["spec"]["nodeName"] = "n"
    return made


def test_a_running_task_is_named(explain: Explain, api: FakeApi) -> None:
    api.add(running(node("start", "Running")))
    answer = explain()
    assert (answer.state, answer.because) == ("running", "running: start")
    assert answer.subject == "run myflow-1 of myflow"


@pytest.mark.parametrize("name", ["argo-myflow-1", "MyFlow", "MyFlow/argo-myflow-1", "myflow"])
def test_a_run_is_found_by_any_of_its_names(explain: Explain, api: FakeApi, name: str) -> None:
    api.add(running(node("start", "Running")))
    assert explain(name).subject == "run myflow-1 of myflow"


def test_a_run_that_has_ended_is_explained_by_its_end(explain: Explain, api: FakeApi) -> None:
    api.add(workflow(phase="Succeeded", finishedAt="2026-11-27T03:00:09Z"))
    assert (explain().state, explain().because) == ("ended", "it succeeded in 9.0 s")
    failed = node("start", "Failed", message="exit 1", finishedAt="2026-11-27T03:00:09Z")
    api.add(workflow(phase="Failed", nodes=(failed,)))
    assert (explain().state, explain().because) == ("failed", "task start failed: exit 1")


def test_without_its_controller_nothing_starts(explain: Explain, api: FakeApi) -> None:
    down = deployment(*CONTROLLER)
    down["spec"]["replicas"] = 0
    api.add(down, running(node("start", "Running")))
    answer = explain()
    assert answer.state == "stuck"
    assert "argo/argo-controller is scaled to zero" in answer.because
    assert "devstack up" in answer.remedy


def test_a_suspended_run_waits_to_be_resumed(explain: Explain, api: FakeApi) -> None:
    item = running(node("start", "Pending"))
    item["spec"]["suspend"] = True
    api.add(item)
    answer = explain()
    assert (answer.state, "suspended" in answer.because) == ("waiting", True)
    assert answer.remedy == "devstack argo suspend --run --resume myflow-1"


def test_a_node_that_waits_for_a_user_is_named(explain: Explain, api: FakeApi) -> None:
    gate = {**node("gate", "Running", "approve"), "type": "Suspend"}
    api.add(running(gate))
    assert "approve waits until somebody resumes it" in explain().because


def test_a_run_that_is_stopped_waits_for_its_pods(explain: Explain, api: FakeApi) -> None:
    item = running(node("start", "Running"))
    item["spec"]["shutdown"] = "Terminate"
    api.add(item)
    assert explain().because == "it is being stopped (Terminate)"


def test_the_holders_of_a_lock_are_named(explain: Explain, api: FakeApi) -> None:
    lock = "metaflow/ConfigMap/limits/gpu"
    semaphore = {"waiting": [{"semaphore": lock, "holders": ["metaflow/other-2"]}]}
    api.add(workflow(phase="Pending", synchronization={"semaphore": semaphore}))
    answer = explain()
    assert answer.because == f"it waits for the semaphore {lock}; held by metaflow/other-2"
    assert "ConfigMap" in answer.remedy
    mutex = {"waiting": [{"mutex": "metaflow/Mutex/one", "holder": "metaflow/other-2"}]}
    api.add(workflow(phase="Pending", synchronization={"mutex": mutex}))
    assert "the mutex metaflow/Mutex/one; held by metaflow/other-2" in explain().because
    waits = node("work", "Pending", synchronizationStatus={"waiting": lock})
    api.add(running(waits))
    assert explain().because == f"work waits for the lock {lock}"


def test_a_run_that_the_controller_has_not_seen_waits(explain: Explain, api: FakeApi) -> None:
    item = workflow()
    item.pop("status")
    api.add(item)
    assert (explain().state, "not seen it yet" in explain().because) == ("waiting", True)


def test_a_postponed_run_has_argos_reason(explain: Explain, api: FakeApi) -> None:
    message = "Workflow processing has been postponed because too many workflows are running"
    api.add(workflow(phase="Pending", message=message))
    assert explain().because == message


def test_a_pod_that_cannot_start_is_explained(explain: Explain, api: FakeApi) -> None:
    waits = node("start", "Pending", message="InvalidImageName")
    image = waiting("InvalidImageName", "couldn't parse image")
    api.add(running(waits), pending_pod(waits, containerStatuses=[image]))
    answer = explain()
    assert answer.state == "stuck"
    assert answer.subject == "run myflow-1 of myflow"
    assert answer.because.startswith("Pod metaflow/p: ")
    assert explain("MyFlow/start").state == "stuck"


def test_another_task_is_not_explained_by_this_pod(explain: Explain, api: FakeApi) -> None:
    waits, runs = node("start", "Pending"), node("work", "Running")
    image = waiting("InvalidImageName", "couldn't parse image")
    api.add(running(waits, runs), pending_pod(waits, containerStatuses=[image]))
    assert explain("MyFlow/work").because == "running: work"
    with pytest.raises(DevstackError) as unknown:
        explain("MyFlow/wrok")
    assert unknown.value.code == "TASK_UNKNOWN"


def test_a_retry_that_waits_has_argos_message(explain: Explain, api: FakeApi) -> None:
    retry = {**node("start", "Running"), "type": "Retry", "message": "Backoff for 2 minutes"}
    api.add(running(retry))
    assert explain().because == "start: Backoff for 2 minutes"


def test_a_name_that_nothing_has_says_what_was_looked_for(explain: Explain) -> None:
    with pytest.raises(DevstackError, match="no run of Argo") as unknown:
        explain("nothing")
    assert json.dumps(unknown.value.code)
