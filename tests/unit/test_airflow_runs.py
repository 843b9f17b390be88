"""Deploying, triggering and following, against an Airflow that answers from a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devstack.airflow.client import AirflowClient
from devstack.airflow.runs import Task, get_run
from devstack.deployers.airflow import deploy as deploy_module
from devstack.deployers.airflow.compile import CompileCall, CompiledDag
from devstack.deployers.airflow.connect import StackAirflow
from devstack.deployers.airflow.deploy import NUDGE_SECONDS, deploy
from devstack.deployers.airflow.find_run import find_run, find_tasks
from devstack.deployers.airflow.follow import failure_of, follow
from devstack.deployers.airflow.trigger import read_parameters, resolve_dag, trigger
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.environment import FlowEnvironment
from devstack.flows.source import FlowSource
from tests.fakes.airflow_server import PASSWORD, AirflowServer
from tests.fakes.api import FakeApi
from tests.fakes.runner import FakeClock, FakeRunner

START = "2026-11-21T15:18:46.878654"
RUN = "manual__1"
PATH = f"/dags/MyFlow/dagRuns/{RUN}"


@dataclass
class FakeFolder:
    """Remembers the files it was given, and those that were touched."""

    files: dict[str, str] = field(default_factory=dict)
    touched: list[str] = field(default_factory=list)

    def write(self, dag_id: str, text: str) -> None:
        self.files[dag_id] = text

    def touch(self, dag_id: str) -> None:
        self.touched.append(dag_id)


@pytest.fixture
def server() -> Iterator[AirflowServer]:
    fake = AirflowServer()
    errors([], fake)
    yield fake
    fake.stop()


@pytest.fixture
def airflow(server: AirflowServer) -> StackAirflow:
    folder: Any = FakeFolder()
    kube = FakeApi().client()
    client = AirflowClient(server.url, PASSWORD)
    return StackAirflow(client, folder, kube, "metaflow", FakeRunner(), FakeClock(), 60)


def errors(found: list[dict[str, Any]], *servers: AirflowServer) -> tuple[int, Any]:
    reply = 200, {"import_errors": found, "total_entries": len(found)}
    for server in servers:
        server.answer("GET", "/importErrors", reply)
    return reply


def import_error(when: str, said: str) -> dict[str, Any]:
    return {
        "import_error_id": 1,
        "filename": "/airflow/dags/MyFlow.py",
        "timestamp": when,
        "stack_trace": f"Traceback (most recent call last):\n  ...\n{said}\n",
    }


def deployed(airflow: StackAirflow, monkeypatch: pytest.MonkeyPatch, **call: Any) -> Any:
    compiled = CompiledDag("MyFlow", "MyFlow", START, "", ("few",), "the file", "")
    monkeypatch.setattr(deploy_module, "compile_flow", lambda *_: compiled)
    source = FlowSource(Path("my_flow.py"), names_platform=False)
    env = FlowEnvironment({}, Path("python"), "metaflow", airflow.kube, Path())
    return deploy(CompileCall(source, **call), env, airflow, lambda _: None)


def test_a_deployment_waits_for_this_very_compilation(
    server: AirflowServer, airflow: StackAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    details = "/dags/MyFlow/details"
    older = (200, {"start_date": "2026-11-20T00:00:00+00:00"})
    halfway = (500, "AttributeError: 'NoneType' object")
    server.answer("GET", details, older, halfway, (200, {"start_date": f"{START}+00:00"}))
    server.answer("PATCH", "/dags/MyFlow", (200, {}))
    server.answer("POST", "/pools", (200, {}))
    deployment = deployed(airflow, monkeypatch)
    assert airflow.folder.files == {"MyFlow": "the file"}  # type: ignore[attr-defined]
    assert (deployment.pools, deployment.paused) == (("few",), False)
    assert deployment.parse_seconds == pytest.approx(0.5)
    assert server.asked[-1] == ("PATCH", "/dags/MyFlow", {"is_paused": False})


def test_a_file_that_the_scheduler_overlooked_is_made_to_look_new(
    server: AirflowServer, airflow: StackAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder: Any = airflow.folder
    start = {"start_date": f"{START}+00:00"}
    server.answer("GET", "/dags/MyFlow/details", lambda _: (200, start if folder.touched else {}))
    server.answer("PATCH", "/dags/MyFlow", (200, {}))
    server.answer("POST", "/pools", (200, {}))
    deployment = deployed(airflow, monkeypatch)
    assert folder.touched == ["MyFlow"]
    assert NUDGE_SECONDS < deployment.parse_seconds < NUDGE_SECONDS + 1


def test_a_scheduler_that_is_away_when_the_file_is_touched_is_waited_for(
    server: AirflowServer, airflow: StackAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    away: list[str] = []

    def touch(dag_id: str) -> None:
        away.append(dag_id)
        raise DevstackError("the scheduler does not run", cause="it has no pod", code="GONE")

    monkeypatch.setattr(airflow.folder, "touch", touch)
    start = {"start_date": f"{START}+00:00"}
    server.answer("GET", "/dags/MyFlow/details", lambda _: (200, start if away else {}))
    server.answer("PATCH", "/dags/MyFlow", (200, {}))
    server.answer("POST", "/pools", (200, {}))
    assert deployed(airflow, monkeypatch).dag_id == "MyFlow"


def test_an_import_error_is_told_with_its_traceback(
    server: AirflowServer, airflow: StackAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = import_error("15:00", "NameError: old"), import_error("15:01", "NameError: new")
    server.answer("GET", "/importErrors", errors([old]), errors([old]), errors([new]))
    server.answer("GET", "/pools/few", (200, {}))
    with pytest.raises(DevstackError) as failed:
        deployed(airflow, monkeypatch)
    assert failed.value.code == "DAG_IMPORT_FAILED"
    assert "NameError: new" in failed.value.cause
    assert failed.value.output.startswith("Traceback")


def test_a_dag_that_is_never_parsed_is_given_up(
    server: AirflowServer, airflow: StackAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer("GET", "/pools/few", (200, {}))
    with pytest.raises(DevstackError) as failed:
        deployed(airflow, monkeypatch)
    assert failed.value.exit_status == ExitStatus.TIMEOUT


PARAMETERS = {
    "n": {"schema": {"type": "integer"}},
    "rate": {"schema": {"type": "number"}},
    "who": {"schema": {"type": "string"}},
}


def test_parameters_get_the_types_of_the_flow() -> None:
    given = {"n": "3", "rate": "0.5", "who": "7"}
    assert read_parameters(PARAMETERS, given) == {"n": 3, "rate": 0.5, "who": "7"}


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"m": "3"}, "no such parameter; it has n, rate, who"),
        ({"n": "three"}, "'three' is no integer"),
        ({"who": "$(id)"}, "shell"),
        ({"who": "`id`"}, "shell"),
    ],
)
def test_a_wrong_parameter_is_told(given: dict[str, str], cause: str) -> None:
    with pytest.raises(DevstackError) as wrong:
        read_parameters(PARAMETERS, given)
    assert wrong.value.code == "PARAMETER_WRONG"
    assert cause in wrong.value.cause


def test_a_paused_dag_is_not_triggered(server: AirflowServer, airflow: StackAirflow) -> None:
    server.answer("GET", "/dags/MyFlow/details", (200, {"is_paused": True}))
    with pytest.raises(DevstackError) as paused:
        trigger(airflow.client, "MyFlow", {})
    assert paused.value.code == "DAG_PAUSED"
    assert not [asked for asked in server.asked if asked[0] == "POST"]


@pytest.fixture
def variants(server: AirflowServer) -> None:
    """Give Airflow three DAGs of a project."""
    ids = ["shop.prod.Train", "shop.test.Train", "shop.user.me.Hello"]
    dags = [{"dag_id": each, "is_paused": False} for each in ids]
    server.answer("GET", "/dags", (200, {"dags": dags, "total_entries": 3}))


def test_the_end_of_a_dags_id_is_enough(airflow: StackAirflow, variants: None) -> None:
    assert resolve_dag(airflow.client, "shop.prod.Train") == "shop.prod.Train"
    assert resolve_dag(airflow.client, "Hello") == "shop.user.me.Hello"


@pytest.mark.parametrize(("word", "code"), [("Train", "DAG_AMBIGUOUS"), ("Trian", "DAG_UNKNOWN")])
def test_a_word_that_names_no_one_dag_is_refused(
    airflow: StackAirflow, variants: None, word: str, code: str
) -> None:
    with pytest.raises(DevstackError) as refused:
        resolve_dag(airflow.client, word)
    assert refused.value.code == code
    assert "shop.prod.Train" in refused.value.cause


def run_item(state: str) -> dict[str, Any]:
    return {
        "dag_id": "MyFlow",
        "dag_run_id": RUN,
        "state": state,
        "run_type": "manual",
        "start_date": "2026-11-21T15:00:00+00:00",
        "end_date": "2026-11-21T15:00:10+00:00" if state in ("success", "failed") else None,
        "conf": {},
    }


def tasks_are(server: AirflowServer, **states: str) -> None:
    items = [
        {"task_id": step, "map_index": -1, "state": state, "try_number": 2}
        for step, state in states.items()
    ]
    reply = 200, {"task_instances": items, "total_entries": len(items)}
    server.answer("GET", f"{PATH}/taskInstances", reply)


def test_a_run_is_followed_to_its_end_past_an_absence(
    server: AirflowServer, airflow: StackAirflow
) -> None:
    away = (503, "back soon")
    server.answer("GET", PATH, (200, run_item("running")), away, (200, run_item("success")))
    tasks_are(server, start="success")
    notes: list[str] = []
    run = get_run(airflow.client, "MyFlow", RUN)
    result = follow(airflow, run, notes.append)
    assert result.ok
    assert result.run.seconds == 10
    assert "503" in notes[0]


def test_a_success_without_any_work_is_none(server: AirflowServer, airflow: StackAirflow) -> None:
    server.answer("GET", PATH, (200, run_item("success")))
    tasks_are(server)
    result = follow(airflow, get_run(airflow.client, "MyFlow", RUN), lambda _: None)
    assert not result.ok
    assert failure_of(airflow, result).cause == "it had no task at all"


def test_a_failure_quotes_the_tasks_last_words(
    server: AirflowServer, airflow: StackAirflow
) -> None:
    server.answer("GET", PATH, (200, run_item("failed")))
    tasks_are(server, start="failed", end="upstream_failed")
    log = "{pod_manager.py:471} INFO - [base] RuntimeError: out of fuel\n{pod.py} ERROR - it failed"
    server.answer("GET", f"{PATH}/taskInstances/start/logs/2", (200, log))
    result = follow(airflow, get_run(airflow.client, "MyFlow", RUN), lambda _: None)
    error = failure_of(airflow, result)
    assert error.exit_status == ExitStatus.FLOW_FAILED
    assert error.cause == "task start failed after 2 attempts"
    assert error.output == "RuntimeError: out of fuel"


def test_a_run_that_takes_too_long_is_left_alone(
    server: AirflowServer, airflow: StackAirflow
) -> None:
    server.answer("GET", PATH, (200, run_item("running")))
    tasks_are(server, start="running")
    with pytest.raises(DevstackError) as late:
        follow(airflow, get_run(airflow.client, "MyFlow", RUN), lambda _: None, timeout=5)
    assert late.value.code == "RUN_TIMEOUT"
    assert "running: start" in late.value.cause
    assert not [asked for asked in server.asked if asked[0] == "PATCH"]


def test_a_run_is_found_by_any_of_its_names(server: AirflowServer, airflow: StackAirflow) -> None:
    server.answer("GET", "/dags/~/dagRuns", (200, {"dag_runs": [run_item("success")]}))
    metaflow = find_run(airflow.client, "MyFlow").metaflow_id
    for word in (RUN, metaflow, f"MyFlow/{metaflow}", f"MyFlow/{RUN}"):
        assert find_run(airflow.client, word).run_id == RUN
    with pytest.raises(DevstackError, match="no run 'other'"):
        find_run(airflow.client, "other")


def test_a_step_names_all_its_items(server: AirflowServer, airflow: StackAirflow) -> None:
    tasks = [Task("work", index, "success", 1, None, None, None) for index in range(3)]
    assert len(find_tasks(tasks, "work")) == 3
    assert [task.index for task in find_tasks(tasks, "work[2]")] == [2]
    with pytest.raises(DevstackError, match="no task 'wrok'"):
        find_tasks(tasks, "wrok")
