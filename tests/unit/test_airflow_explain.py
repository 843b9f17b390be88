"""`devstack why` explains runs of Airflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.errors import ExitStatus
from tests.fakes.airflow import airflow_deployer
from tests.fakes.airflow_server import AirflowServer

RUN = "manual__1"
PATH = f"/dags/MyFlow/dagRuns/{RUN}"


class Case:
    """A run of MyFlow that a test describes.

    Attributes:
        server: Airflow's API.
    """

    def __init__(self, server: AirflowServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.server = server
        self._capsys = capsys
        healthy = {"status": "healthy"}
        self.server.answer("GET", "/health", (200, {"scheduler": healthy}))
        self.details(is_paused=False, max_active_runs=1)
        self.run("running")
        self.tasks()
        pool = {"name": "default_pool", "slots": 4}
        self.pools(pool)

    def details(self, **details: Any) -> None:
        self.server.answer("GET", "/dags/MyFlow/details", (200, details))

    def pools(self, *pools: dict[str, Any]) -> None:
        found = {"pools": list(pools), "total_entries": len(pools)}
        self.server.answer("GET", "/pools", (200, found))

    def run(self, state: str, *others: dict[str, Any]) -> None:
        item = {
            "dag_id": "MyFlow",
            "dag_run_id": RUN,
            "state": state,
            "run_type": "manual",
            "start_date": "2026-11-21T15:00:10+00:00",
            "end_date": "2026-11-21T15:00:16+00:00",
        }
        runs = (200, {"dag_runs": [item, *({**item, **other} for other in others)]})
        self.server.answer("GET", PATH, (200, item))
        for path in ("/dags/~/dagRuns", "/dags/MyFlow/dagRuns"):
            self.server.answer("GET", path, runs)

    def tasks(self, **states: str) -> None:
        usual = {"pool": "default_pool", "queue": "default", "try_number": 1}
        tasks = [{"task_id": name, "state": state, **usual} for name, state in states.items()]
        answer = (200, {"task_instances": tasks, "total_entries": len(tasks)})
        self.server.answer("GET", f"{PATH}/taskInstances", answer)

    def why(self, name: str = "MyFlow") -> tuple[int, dict[str, Any]]:
        """Return the status of `devstack why`, and its answer or its error."""
        status = run(["why", name, "--json"], Output())
        envelope = json.loads(self._capsys.readouterr().out)
        return status, envelope["error"] or envelope["data"]


@pytest.fixture
def case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Case]:
    server = AirflowServer()
    deployer, _api, _runner = airflow_deployer(server, tmp_path, monkeypatch)
    # Without another engine: a name that Airflow does not know would be looked up there.
    services = [each for each in deployer.stack.services if each.name != "kubeflow"]
    deployer.stack.services = tuple(services)
    monkeypatch.setattr("devstack.stack.open_stack", lambda *_a, **_o: deployer.stack)
    yield Case(server, capsys)
    server.stop()


def test_a_run_that_succeeded(case: Case) -> None:
    case.run("success")
    case.tasks(start="success")
    status, answer = case.why(RUN)
    assert (status, answer["state"]) == (ExitStatus.OK, "ended")
    assert answer["because"] == "it succeeded in 6.0 s"


def test_a_task_that_failed_is_the_reason_of_its_run(case: Case) -> None:
    case.run("failed")
    case.tasks(start="failed")
    case.server.answer("GET", f"{PATH}/taskInstances/start/logs/1", (200, "[base] broken\n"))
    status, answer = case.why()
    assert (status, answer["state"]) == (ExitStatus.OK, "failed")
    assert "task start failed" in answer["because"]


def test_a_scheduler_that_is_down(case: Case) -> None:
    case.server.answer("GET", "/health", (200, {"scheduler": {"status": "unhealthy"}}))
    status, answer = case.why()
    assert (status, answer["state"]) == (ExitStatus.FAILED, "stuck")
    assert "scheduler" in answer["because"]


def test_a_dag_that_is_paused(case: Case) -> None:
    case.details(is_paused=True)
    status, answer = case.why()
    assert (status, answer["because"]) == (ExitStatus.FAILED, "its DAG is paused")
    assert "--unpause" in answer["remedy"]


def test_a_run_that_waits_for_others(case: Case) -> None:
    case.run("queued", {"dag_run_id": "manual__0", "state": "running"})
    status, answer = case.why(RUN)
    assert (status, answer["state"]) == (ExitStatus.OK, "waiting")
    assert "may have 1: manual__0" in answer["because"]


def test_a_pool_without_free_slots(case: Case) -> None:
    case.tasks(start="scheduled")
    case.pools({"name": "default_pool", "slots": 2, "running_slots": 2})
    _, answer = case.why("MyFlow/start")
    assert answer["state"] == "waiting"
    assert "the 2 slots of pool default_pool are occupied" in answer["because"]


def test_a_pool_that_does_not_exist(case: Case) -> None:
    case.tasks(start="scheduled")
    case.pools()
    status, answer = case.why()
    assert (status, answer["state"]) == (ExitStatus.FAILED, "stuck")
    assert answer["remedy"] == "devstack airflow pools set default_pool SLOTS"


def test_a_task_that_waits_for_the_executor(case: Case) -> None:
    case.tasks(start="queued")
    assert "start is queued" in case.why()[1]["because"]


def test_a_run_that_runs(case: Case) -> None:
    case.tasks(start="success", work="running")
    _, answer = case.why(f"MyFlow/{RUN}")
    assert (answer["state"], answer["because"]) == ("running", "running: work")


def test_an_unknown_task_and_an_unknown_name(case: Case) -> None:
    case.tasks(start="running")
    assert case.why("MyFlow/strat")[1]["code"] == "TASK_UNKNOWN"
    error = case.why("nothing")[1]
    assert error["code"] == "WORKLOAD_NOT_FOUND"
    assert "no run of Airflow" in error["message"]
