"""Delivering, triggering, following and deleting DAGs, against an Airflow behind real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from devstack.airflow.runs import Task, get_run
from devstack.deployers.airflow.compile import CompiledDag
from devstack.deployers.airflow.delete import START_SECONDS
from devstack.deployers.airflow.deliver import TOUCH_INTERVAL
from devstack.deployers.airflow.deployer import AirflowDeployer, open_deployer
from devstack.deployers.airflow.lookup import find_tasks
from devstack.deployers.airflow.parameter_values import convert_parameters, run_conf
from devstack.deployers.airflow.parameters import FILE_MEDIA, JSON_MEDIA, kind_of_schema
from devstack.deployers.base import Deployment
from devstack.errors import DevstackError, ExitStatus
from devstack.ports import any_free
from tests.fakes.airflow import KUBECTL, airflow_deployer, kubectl_scripts
from tests.fakes.airflow_server import AirflowServer
from tests.fakes.api import FakeApi
from tests.fakes.runner import FakeRunner
from tests.fakes.s3 import fake_s3

START = "2026-11-21T15:18:46.878654"
RUN = "manual__1"
PATH = f"/dags/MyFlow/dagRuns/{RUN}"
COMPILED = CompiledDag("MyFlow", "MyFlow", START, "", ("few",), False, "the file", "")
FILE = "/airflow/dags/MyFlow.py"


@pytest.fixture
def server() -> Iterator[AirflowServer]:
    fake = AirflowServer()
    fake.answer("GET", "/importErrors", errors())
    yield fake
    fake.stop()


@pytest.fixture
def parts(
    server: AirflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[AirflowDeployer, FakeApi, FakeRunner]:
    return airflow_deployer(server, tmp_path, monkeypatch)


@pytest.fixture
def airflow(parts: tuple[AirflowDeployer, FakeApi, FakeRunner]) -> AirflowDeployer:
    return parts[0]


@pytest.fixture
def runner(parts: tuple[AirflowDeployer, FakeApi, FakeRunner]) -> FakeRunner:
    return parts[2]


@pytest.fixture
def token(airflow: AirflowDeployer) -> Iterator[str]:
    """The address of the production token that Metaflow has stored for MyFlow."""
    with fake_s3() as url:
        airflow.stack.state.ports["minio"] = urlsplit(url).port or 0
        address = f"{url}/metaflow/metaflow/mf.airflow/MyFlow"
        requests.put(address, b"{}", timeout=10)
        yield address


def errors(*found: dict[str, Any]) -> tuple[int, Any]:
    return 200, {"import_errors": list(found), "total_entries": len(found)}


def import_error(when: str, message: str) -> dict[str, Any]:
    return {
        "import_error_id": 1,
        "filename": FILE,
        "timestamp": when,
        "stack_trace": f"Traceback (most recent call last):\n  ...\n{message}\n",
    }


def deliver(airflow: AirflowDeployer) -> Deployment:
    return airflow.deliver(COMPILED, lambda _: None)


def allow_delivery(server: AirflowServer) -> None:
    """Let Airflow create pools and unpause the DAG."""
    server.answer("PATCH", "/dags/MyFlow", (200, {}))
    server.answer("POST", "/pools", (200, {}))


def test_a_delivery_waits_until_this_compilation_is_parsed(
    server: AirflowServer, airflow: AirflowDeployer, runner: FakeRunner
) -> None:
    older = (200, {"start_date": "2026-11-20T00:00:00+00:00"})
    incomplete = (500, "AttributeError: 'NoneType' object")
    current = (200, {"start_date": f"{START}+00:00"})
    server.answer("GET", "/dags/MyFlow/details", older, incomplete, current)
    allow_delivery(server)
    deployment = deliver(airflow)
    assert kubectl_scripts(runner) == [("write", "the file")]
    assert runner.calls[0].argv[-1] == FILE
    assert (deployment.details["pools"], deployment.paused) == (["few"], False)
    assert deployment.deliver_seconds == pytest.approx(0.5)
    assert server.requests[-1] == ("PATCH", "/dags/MyFlow", {"is_paused": False})


def test_a_file_that_the_scheduler_missed_is_touched(
    server: AirflowServer, airflow: AirflowDeployer, runner: FakeRunner
) -> None:
    def details(_query: Any) -> tuple[int, Any]:
        touched = ("touch", FILE) in kubectl_scripts(runner)
        return 200, {"start_date": f"{START}+00:00"} if touched else {}

    server.answer("GET", "/dags/MyFlow/details", details)
    allow_delivery(server)
    deployment = deliver(airflow)
    assert kubectl_scripts(runner) == [("write", "the file"), ("touch", FILE)]
    assert TOUCH_INTERVAL < deployment.deliver_seconds < TOUCH_INTERVAL + 1


def test_a_delivery_waits_for_a_scheduler_that_is_down_when_the_file_is_touched(
    server: AirflowServer, parts: tuple[AirflowDeployer, FakeApi, FakeRunner]
) -> None:
    airflow, api, runner = parts
    runner.answer(KUBECTL, effect=lambda _call: api.objects.clear())

    def details(_query: Any) -> tuple[int, Any]:
        waited = airflow.stack.clock.now() > began + 2 * TOUCH_INTERVAL
        return 200, {"start_date": f"{START}+00:00"} if waited else {}

    began = airflow.stack.clock.now()
    server.answer("GET", "/dags/MyFlow/details", details)
    allow_delivery(server)
    assert deliver(airflow).name == "MyFlow"
    assert kubectl_scripts(runner) == [("write", "the file")]


def test_a_delivery_needs_a_running_scheduler(
    server: AirflowServer, parts: tuple[AirflowDeployer, FakeApi, FakeRunner]
) -> None:
    airflow, api, _runner = parts
    api.objects.clear()
    allow_delivery(server)
    with pytest.raises(DevstackError) as failed:
        deliver(airflow)
    assert failed.value.code == "SCHEDULER_DOWN"


def test_a_file_that_cannot_be_written_is_reported_with_kubectls_message(
    server: AirflowServer, airflow: AirflowDeployer, runner: FakeRunner
) -> None:
    runner.answer(KUBECTL, returncode=1, stderr="first\nNo space left on device\n")
    allow_delivery(server)
    with pytest.raises(DevstackError) as failed:
        deliver(airflow)
    assert (failed.value.code, failed.value.cause) == (
        "DELIVERY_FAILED",
        "No space left on device",
    )


def test_an_import_error_is_reported_with_its_traceback(
    server: AirflowServer, airflow: AirflowDeployer
) -> None:
    old, new = import_error("15:00", "NameError: old"), import_error("15:01", "NameError: new")
    server.answer("GET", "/importErrors", errors(old), errors(old), errors(new))
    server.answer("GET", "/pools/few", (200, {}))
    with pytest.raises(DevstackError) as failed:
        deliver(airflow)
    assert failed.value.code == "DAG_IMPORT_FAILED"
    assert "NameError: new" in failed.value.cause
    assert failed.value.output.startswith("Traceback")


def test_a_delivery_times_out_if_the_dag_is_never_parsed(
    server: AirflowServer, airflow: AirflowDeployer
) -> None:
    server.answer("GET", "/pools/few", (200, {}))
    with pytest.raises(DevstackError) as failed:
        deliver(airflow)
    assert failed.value.exit_status == ExitStatus.TIMEOUT


def test_a_stack_without_airflow_is_reported(airflow: AirflowDeployer) -> None:
    stack = airflow.stack
    stack.services = [service for service in stack.services if service.name != "airflow"]
    with pytest.raises(DevstackError) as failed:
        open_deployer(stack)
    assert failed.value.code == "AIRFLOW_DISABLED"
    assert f"--with airflow --name {stack.spec.name}" in failed.value.remedy


@pytest.mark.parametrize("was_paused", [False, True])
def test_an_active_run_keeps_a_dag_from_being_deleted(
    server: AirflowServer, airflow: AirflowDeployer, runner: FakeRunner, was_paused: bool
) -> None:
    server.answer("GET", "/dags/MyFlow/details", (200, {"is_paused": was_paused}))
    server.answer("GET", "/dags/MyFlow/dagRuns", (200, {"dag_runs": [run_item("running")]}))
    server.answer("PATCH", "/dags/MyFlow", (200, {}))
    with pytest.raises(DevstackError) as busy:
        airflow.delete("MyFlow", force=False)
    assert busy.value.code == "DAG_BUSY"
    assert server.requested("PATCH")[-1] == ("/dags/MyFlow", {"is_paused": was_paused})
    assert runner.calls == []


def test_a_forced_deletion_pauses_then_deletes_runs_the_file_the_history_and_the_token(
    server: AirflowServer, airflow: AirflowDeployer, runner: FakeRunner, token: str
) -> None:
    server.answer("GET", "/dags/MyFlow/details", (200, {"is_paused": False}))
    server.answer("PATCH", "/dags/MyFlow", (200, {}))
    active = (200, {"dag_runs": [run_item("running")]})
    server.answer("GET", "/dags/MyFlow/dagRuns", active, active, (200, {"dag_runs": []}))
    server.answer("DELETE", PATH, (204, ""))
    starting = [{"task_id": "start", "state": "running", "map_index": -1}]
    server.answer(
        "GET", f"{PATH}/taskInstances", (200, {"task_instances": starting, "total_entries": 1})
    )
    tasks_end = (409, {"detail": "Task instances of dag with id: 'MyFlow' are still running"})
    parsed_again = (204, "")
    server.answer("DELETE", "/dags/MyFlow", tasks_end, (204, ""), parsed_again, (404, {}))
    began = airflow.stack.clock.now()
    airflow.delete("MyFlow", force=True)
    # The starting task has no pod yet.
    assert airflow.stack.clock.now() - began >= START_SECONDS
    assert server.requested("PATCH") == [("/dags/MyFlow", {"is_paused": True})]
    assert kubectl_scripts(runner) == [("delete", FILE)]
    assert [path for path, _ in server.requested("DELETE")] == [PATH, *["/dags/MyFlow"] * 4]
    assert requests.get(token, timeout=10).status_code == HTTPStatus.NOT_FOUND


def test_a_deletion_without_the_datastore_keeps_the_dag(
    server: AirflowServer,
    airflow: AirflowDeployer,
    runner: FakeRunner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("devstack.services.minio.CONNECT_ATTEMPTS", 0)
    server.answer("GET", "/dags/MyFlow/details", (404, {}))
    airflow.stack.state.ports["minio"] = any_free(set())
    with pytest.raises(DevstackError) as failed:
        airflow.delete("MyFlow", force=False)
    assert failed.value.code == "MINIO_UNREACHABLE"
    assert runner.calls == []


@pytest.mark.usefixtures("token")
def test_a_dag_whose_file_cannot_be_imported_is_deleted(
    server: AirflowServer, airflow: AirflowDeployer, runner: FakeRunner
) -> None:
    server.answer("GET", "/dags", (200, {"dags": [], "total_entries": 0}))
    broken = errors(import_error("15:00", "NameError: x"))
    server.answer("GET", "/importErrors", broken, broken, errors())
    assert airflow.resolve("MyFlow", broken=True) == "MyFlow"
    airflow.delete("MyFlow", force=False)
    assert kubectl_scripts(runner) == [("delete", FILE)]


PARAMETERS = {
    "n": {"schema": {"type": "integer"}},
    "rate": {"schema": {"type": "number"}},
    "who": {"schema": {"type": "string"}},
    "flag": {"schema": {"type": "boolean"}},
    "data": {"schema": {"type": "string", "contentMediaType": JSON_MEDIA}},
    "file": {"schema": {"type": "string", "contentMediaType": FILE_MEDIA}},
}
KINDS = {name: kind_of_schema(each["schema"]) for name, each in PARAMETERS.items()}


def test_parameters_are_converted_to_the_flows_types() -> None:
    text = "Málaga\n$HOME `id` \\ {{ x }} 'a' \"b\""
    given = {"n": "3", "rate": "2", "who": text, "flag": "YES", "data": '{"a": [1]}'}
    expected = {"n": 3, "rate": 2.0, "who": text, "flag": True, "data": '{"a": [1]}'}
    assert convert_parameters(KINDS, given, "usage") == expected
    assert convert_parameters(KINDS, {"who": ""}, "usage") == {"who": ""}


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        ({"value": 1}, "13", 13),
        ({"value": 0.5}, "2", 2.0),
        ({"value": False}, "true", True),
        ({"value": "1"}, "13", "13"),
        ({"value": None}, "13", "13"),
        ({"value": []}, '["a", 1]', ["a", 1]),
        ({"value": None, "schema": {"type": "object"}}, '{"a": 1}', {"a": 1}),
        ({"value": None, "schema": {"type": ["null", "integer"]}}, "13", 13),
        ({"value": 1, "schema": {"type": "string"}}, "13", "13"),
    ],
)
def test_values_get_the_types_of_a_dag_without_metaflow(
    declared: dict[str, Any], text: str, expected: object
) -> None:
    assert run_conf({"params": {"n": declared}}, {"n": text}, "usage") == {"n": expected}


def test_a_value_of_another_json_type_is_reported() -> None:
    with pytest.raises(DevstackError, match="invalid value") as wrong:
        run_conf({"params": {"n": {"value": []}}}, {"n": '{"a": 1}'}, "usage")
    assert "JSON of another type, dict" in wrong.value.cause


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"m": "3"}, "no such parameter; it has data, file, flag, n, rate, who"),
        ({"n": "three"}, "'three' is not of type integer"),
        ({"n": "1.5"}, "'1.5' is not of type integer"),
        ({"rate": "nan"}, "not of type number"),
        ({"flag": "maybe"}, "'maybe' is not of type boolean"),
        ({"data": "{"}, "not of type json"),
        ({"file": "x.csv"}, "a pod cannot read this machine's files"),
        ({"who": "a\0b"}, "NUL"),
        ({"who": "\udc80"}, "not valid Unicode"),
        ({"who": "x" * 130_000}, "130000 bytes"),
    ],
)
def test_an_invalid_parameter_is_reported(given: dict[str, str], cause: str) -> None:
    with pytest.raises(DevstackError) as wrong:
        convert_parameters(KINDS, given, "usage")
    assert wrong.value.code == "PARAMETER_WRONG"
    assert cause in wrong.value.cause


def test_a_paused_dag_is_not_triggered(server: AirflowServer, airflow: AirflowDeployer) -> None:
    server.answer("GET", "/dags/MyFlow/details", (200, {"is_paused": True}))
    with pytest.raises(DevstackError) as paused:
        airflow.trigger("MyFlow", {})
    assert paused.value.code == "DAG_PAUSED"
    assert not server.requested("POST")


@pytest.fixture
def variants(server: AirflowServer) -> None:
    """Add three DAGs of a project."""
    ids = ["shop.prod.Train", "shop.test.Train", "shop.user.me.Hello"]
    dags = [{"dag_id": each, "is_paused": False} for each in ids]
    server.answer("GET", "/dags", (200, {"dags": dags, "total_entries": 3}))


def test_a_dag_is_found_by_the_end_of_its_id(airflow: AirflowDeployer, variants: None) -> None:
    assert airflow.resolve("shop.prod.Train") == "shop.prod.Train"
    assert airflow.resolve("Hello") == "shop.user.me.Hello"


@pytest.mark.parametrize(("word", "code"), [("Train", "DAG_AMBIGUOUS"), ("Trian", "DAG_UNKNOWN")])
def test_an_unknown_or_ambiguous_name_is_reported(
    airflow: AirflowDeployer, variants: None, word: str, code: str
) -> None:
    with pytest.raises(DevstackError) as refused:
        airflow.resolve(word)
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


def test_a_run_is_followed_through_an_outage(
    server: AirflowServer, airflow: AirflowDeployer
) -> None:
    away = (503, "back soon")
    server.answer("GET", PATH, (200, run_item("running")), away, (200, run_item("success")))
    tasks_are(server, start="success")
    notes: list[str] = []
    run = get_run(airflow.client, "MyFlow", RUN)
    result = airflow.follow(run, notes.append)
    assert result.ok
    assert result.run.seconds == 10
    assert "503" in notes[0]


def test_a_run_without_tasks_is_not_a_success(
    server: AirflowServer, airflow: AirflowDeployer
) -> None:
    server.answer("GET", PATH, (200, run_item("success")))
    tasks_are(server)
    result = airflow.follow(get_run(airflow.client, "MyFlow", RUN), lambda _: None)
    assert not result.ok
    assert airflow.failure(result).cause == "it had no tasks"


def test_a_failure_quotes_the_end_of_the_tasks_output(
    server: AirflowServer, airflow: AirflowDeployer
) -> None:
    server.answer("GET", PATH, (200, run_item("failed")))
    tasks_are(server, start="failed", end="upstream_failed")
    log = "{pod_manager.py:471} INFO - [base] RuntimeError: out of fuel\n{pod.py} ERROR - it failed"
    server.answer("GET", f"{PATH}/taskInstances/start/logs/2", (200, log))
    result = airflow.follow(get_run(airflow.client, "MyFlow", RUN), lambda _: None)
    error = airflow.failure(result)
    assert error.exit_status == ExitStatus.FLOW_FAILED
    assert error.cause == "task start failed after 2 attempts"
    assert error.output == "RuntimeError: out of fuel"


def test_a_run_that_exceeds_the_timeout_is_not_stopped(
    server: AirflowServer, airflow: AirflowDeployer
) -> None:
    server.answer("GET", PATH, (200, run_item("running")))
    tasks_are(server, start="running")
    with pytest.raises(DevstackError) as late:
        airflow.follow(get_run(airflow.client, "MyFlow", RUN), lambda _: None, timeout=5)
    assert late.value.code == "RUN_TIMEOUT"
    assert "running: start" in late.value.cause
    assert not server.requested("PATCH")


def test_a_run_is_found_by_each_of_its_names(
    server: AirflowServer, airflow: AirflowDeployer
) -> None:
    server.answer("GET", "/dags/~/dagRuns", (200, {"dag_runs": [run_item("success")]}))
    metaflow = airflow.find_run("MyFlow").metaflow_id
    for word in (RUN, metaflow, f"MyFlow/{metaflow}", f"MyFlow/{RUN}"):
        assert airflow.find_run(word).run_id == RUN
    with pytest.raises(DevstackError, match="no run 'other'"):
        airflow.find_run("other")


def test_a_step_selects_all_its_items(server: AirflowServer, airflow: AirflowDeployer) -> None:
    tasks = [Task("work", index, "success", 1, None, None, None) for index in range(3)]
    assert len(find_tasks(tasks, "work")) == 3
    assert [task.index for task in find_tasks(tasks, "work[2]")] == [2]
    with pytest.raises(DevstackError, match="no task 'wrok'"):
        find_tasks(tasks, "wrok")
