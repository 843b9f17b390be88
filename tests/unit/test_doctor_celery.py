"""The check of what Celery's executors need, and the same problems in followed runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devstack.airflow.runs import DagRun, Task
from devstack.deployers.airflow.follow import (
    find_unserved_task,
    find_worker_problem,
    follow_run,
)
from devstack.doctor.celery import CELERY_CHECKS
from devstack.doctor.check import Diagnosis, run_checks
from devstack.errors import DevstackError
from devstack.process import Completed
from devstack.services.airflow.celery import scaling
from devstack.services.airflow.celery_health import served_queues, worker_problem
from devstack.services.airflow.installation import Installation
from devstack.services.airflow.service import connect
from devstack.stack import Stack
from tests.fakes.airflow import FakeAirflow, airflow_stack, fake_airflow
from tests.fakes.api import FakeApi, available, pod, waiting

NAMESPACE = "airflow"
QUEUED = "/dags/~/dagRuns/~/taskInstances"


def workers(replicas: int, ready: int) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "airflow-worker", "namespace": NAMESPACE, "generation": 1},
        "spec": {"replicas": replicas},
        "status": {"readyReplicas": ready, "replicas": replicas, "observedGeneration": 1},
    }


def worker(index: int, **status: Any) -> dict[str, Any]:
    name = f"airflow-worker-{index}"
    labels = {"component": "celery-worker", "app.kubernetes.io/part-of": "devstack"}
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}
    return pod(name, NAMESPACE, labels=labels, **(status or ready))


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    with fake_airflow() as served:
        served.set(QUEUED, {"task_instances": [], "total_entries": 0})
        yield served


@pytest.fixture
def stack(airflow: FakeAirflow, tmp_path: Path) -> Stack:
    made = airflow_stack(airflow.port, tmp_path)
    made.state.airflow = {"executor": "CeleryExecutor"}
    return made


@pytest.fixture
def digests(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The digests of the DAG files that pods have; by default all the same."""
    found: dict[str, str] = {}

    def execute(_namespace: str, target: str, command: list[str], **_options: Any) -> Completed:
        assert command[-1] == "/airflow/dags"
        return Completed(tuple(command), 0, found.get(target, "same"), "")

    monkeypatch.setattr(stack, "execute", execute)
    return found


@pytest.fixture
def api(stack: Stack, digests: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """A cluster with a broker, two workers and Flower."""
    made = FakeApi()
    monkeypatch.setattr(stack, "kube", lambda *_a, **_o: made.client())
    made.add(available("rabbitmq", "rabbitmq"), available("airflow-flower", NAMESPACE))
    made.add(workers(2, 2), worker(0), worker(1))
    return made


def diagnosed(stack: Stack) -> Diagnosis:
    [made] = run_checks(list(CELERY_CHECKS), stack)
    return made


def codes(stack: Stack) -> list[str]:
    return [finding.code for finding in diagnosed(stack).findings]


def remove(api: FakeApi, name: str) -> None:
    [path] = [path for path in api.objects if path.endswith(f"/{name}")]
    del api.objects[path]


def test_a_healthy_stack_has_no_findings(api: FakeApi, stack: Stack) -> None:
    assert diagnosed(stack).state == "ok"
    assert api.writes == []


def test_other_executors_need_no_workers(api: FakeApi, stack: Stack) -> None:
    stack.state.airflow = {}
    assert diagnosed(stack).state == "skipped"


@pytest.mark.breaks("celery")
def test_a_broker_that_is_down_is_the_only_finding(api: FakeApi, stack: Stack) -> None:
    remove(api, "rabbitmq")
    assert codes(stack) == ["BROKER_DOWN"]


@pytest.mark.breaks("celery")
def test_no_worker_at_all(api: FakeApi, stack: Stack) -> None:
    api.add(workers(0, 0))
    assert codes(stack) == ["WORKER_MISSING"]
    assert "devstack airflow scale" in diagnosed(stack).findings[0].remedy


def test_remedies_name_the_installation(api: FakeApi, stack: Stack) -> None:
    team, settings = Installation("team-a"), {"executor": "CeleryExecutor"}
    missing = worker_problem(api.client(), team, settings)
    assert missing is not None
    assert missing.remedy == "devstack airflow --installation team-a scale 1"
    scaled = worker_problem(api.client(), team, {**settings, "workers": {"min": 0, "max": 1}})
    assert scaled is not None
    assert scaled.remedy.startswith("devstack logs airflow-team-a;")


@pytest.mark.breaks("celery")
def test_a_worker_that_is_lost_while_another_runs(api: FakeApi, stack: Stack) -> None:
    api.add(
        workers(2, 1), worker(1, phase="Running", containerStatuses=[waiting("CrashLoopBackOff")])
    )
    [finding] = diagnosed(stack).findings
    assert (finding.code, finding.severity) == ("WORKER_LOST", "warning")
    assert "airflow-worker-1" in finding.cause


@pytest.mark.breaks("celery")
def test_no_worker_that_is_ready(api: FakeApi, stack: Stack) -> None:
    api.add(workers(2, 0))
    assert codes(stack) == ["WORKERS_DOWN"]


@pytest.mark.breaks("celery")
def test_scaled_workers_that_all_fail(api: FakeApi, stack: Stack) -> None:
    stack.state.airflow["workers"] = {"min": 0, "max": 4}
    api.add(available("airflow-autoscaler", NAMESPACE))
    broken = {
        "phase": "Running",
        "containerStatuses": [waiting("CreateContainerConfigError", "no key")],
    }
    api.add(workers(2, 0), worker(0, **broken), worker(1, phase="Pending"))
    # One that starts may be the first that the queue needs.
    assert "WORKERS_DOWN" not in codes(stack)
    api.add(worker(1, **broken))
    assert codes(stack) == ["WORKERS_DOWN"]
    assert "no key" in diagnosed(stack).findings[0].cause


def ending_worker(index: int) -> dict[str, Any]:
    made = worker(index)
    made["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return made


def test_a_worker_that_finishes_its_tasks_is_not_lost(api: FakeApi, stack: Stack) -> None:
    api.add(ending_worker(1))
    assert codes(stack) == []


def test_workers_that_all_finish_their_tasks_take_no_others(api: FakeApi, stack: Stack) -> None:
    # The probe of their readiness still succeeds.
    api.add(ending_worker(0), ending_worker(1))
    [finding] = diagnosed(stack).findings
    assert finding.code == "WORKERS_DOWN"
    assert "airflow-worker-0, airflow-worker-1 finish their own" in finding.cause
    assert "delete pod --grace-period" in finding.remedy


@pytest.mark.breaks("celery")
def test_a_queue_that_no_worker_serves(api: FakeApi, airflow: FakeAirflow, stack: Stack) -> None:
    tasks = [{"queue": "gpu"}, {"queue": "default"}]
    airflow.set(QUEUED, {"task_instances": tasks, "total_entries": 2})
    [finding] = diagnosed(stack).findings
    assert finding.code == "QUEUE_WITHOUT_WORKER"
    assert "'gpu'" in finding.cause


@pytest.mark.breaks("celery")
def test_a_worker_with_other_dag_files(api: FakeApi, digests: dict[str, str], stack: Stack) -> None:
    digests["airflow-worker-1"] = "other"
    [finding] = diagnosed(stack).findings
    assert finding.code == "DAGS_DIFFER"
    assert finding.cause.startswith("airflow-worker-1 has other DAG files")


@pytest.mark.breaks("celery")
def test_flower_that_is_unreachable(api: FakeApi, stack: Stack) -> None:
    remove(api, "airflow-flower")
    [finding] = diagnosed(stack).findings
    assert (finding.code, finding.severity) == ("FLOWER_DOWN", "warning")


def test_a_followed_run_with_such_a_queue_does_not_wait(api: FakeApi, stack: Stack) -> None:
    def task(state: str, queue: str) -> Task:
        return Task("train", -1, state, 0, None, None, None, queue=queue)

    assert find_unserved_task(stack, [task("queued", "default"), task("success", "gpu")]) is None
    failed = find_unserved_task(stack, [task("queued", "gpu")])
    assert failed is not None
    assert failed.code == "QUEUE_WITHOUT_WORKER"
    assert failed.reason.startswith("train waits: no worker serves the queue 'gpu'")


def queued(executor: str = "") -> Task:
    return Task("train", -1, "queued", 0, None, None, None, queue="default", executor=executor)


def test_a_followed_run_without_any_worker_does_not_wait(
    api: FakeApi, airflow: FakeAirflow, stack: Stack
) -> None:
    api.add(workers(0, 0))
    run = {"dag_id": "d", "dag_run_id": "r", "state": "running", "run_type": "manual"}
    task = {"task_id": "train", "state": "queued", "queue": "default"}
    airflow.set("/dags/d/dagRuns/r", run)
    airflow.set("/dags/d/dagRuns/r/taskInstances", {"task_instances": [task], "total_entries": 1})
    airflow.server.answer("PATCH", "/dags/d/dagRuns/r", (200, run))
    followed = DagRun("d", "r", "running", "manual", None, None, {})
    with pytest.raises(DevstackError) as raised:
        follow_run(stack, connect(stack.context(None)), followed, lambda _line: None)
    assert raised.value.code == "WORKER_MISSING"
    assert "devstack airflow scale" in raised.value.remedy


def test_a_task_waits_for_broker_and_workers_of_its_executor(api: FakeApi, stack: Stack) -> None:
    assert find_worker_problem(stack, [queued()]) is None
    remove(api, "rabbitmq")
    assert find_worker_problem(stack, [replace(queued(), state="running")]) is None
    problem = find_worker_problem(stack, [queued()])
    assert problem is not None
    assert problem.code == "BROKER_DOWN"
    stack.state.airflow = {"executor": "CeleryExecutor,LocalExecutor"}
    assert find_worker_problem(stack, [queued("LocalExecutor")]) is None


def test_executors_without_workers_ignore_queues(
    api: FakeApi, airflow: FakeAirflow, stack: Stack
) -> None:
    local = Task("train", -1, "queued", 0, None, None, None, queue="gpu")
    celery = replace(local, executor="CeleryExecutor")
    stack.state.airflow = {"executor": "LocalExecutor,CeleryExecutor"}
    assert find_unserved_task(stack, [local]) is None
    assert find_unserved_task(stack, [local, celery]) is not None
    airflow.set(QUEUED, {"task_instances": [{"queue": "gpu", "executor": None}]})
    assert codes(stack) == []
    airflow.set(QUEUED, {"task_instances": [{"queue": "gpu", "executor": "CeleryExecutor"}]})
    assert codes(stack) == ["QUEUE_WITHOUT_WORKER"]


def test_the_queue_of_pods_is_served_with_both_kinds_of_executors() -> None:
    assert served_queues({"executor": "CeleryKubernetesExecutor"}) == ["default", "kubernetes"]
    config = {"operators": {"default_queue": "main"}}
    assert served_queues({"executor": "CeleryExecutor", "config": config}) == ["main"]


def test_the_queues_that_the_users_airflow_cfg_names_are_served() -> None:
    text = (
        "[operators]\ndefault_queue = main\n[celery_kubernetes_executor]\nkubernetes_queue = pods\n"
    )
    settings = {"executor": "CeleryKubernetesExecutor", "cfg": "airflow.cfg", "cfg_text": text}
    assert served_queues(settings) == ["main", "pods"]
    assert scaling({**settings, "workers": {"min": 0, "max": 2}})["queue"] == "main"
