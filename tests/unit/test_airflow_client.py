"""The client of Airflow's REST API, against real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from devstack.airflow.client import AirflowApiError, AirflowClient, AirflowUnavailableError
from devstack.airflow.dags import Dag, ensure_pool, list_dags
from devstack.airflow.runs import DagRun, Task, list_tasks, read_log, task_output_lines
from devstack.errors import DevstackError
from tests.fakes.airflow_server import PASSWORD, AirflowServer

RUN = DagRun("MyFlow", "manual__2026-11-21T15:27:55.591180+00:00", "running", "manual", 1, None, {})


@pytest.fixture
def airflow() -> Iterator[AirflowServer]:
    fake = AirflowServer()
    yield fake
    fake.stop()


@pytest.fixture
def client(airflow: AirflowServer) -> AirflowClient:
    return AirflowClient(airflow.url, PASSWORD, timeout=5)


def test_many_requests_need_one_login(airflow: AirflowServer, client: AirflowClient) -> None:
    airflow.answer("GET", "/pools", (200, {"pools": []}))
    assert [client.get("/pools") for _ in range(3)] == [{"pools": []}] * 3
    assert airflow.logins == 1


def test_no_connection_is_kept_that_airflow_may_drop_under_the_next_request(
    airflow: AirflowServer, client: AirflowClient
) -> None:
    airflow.answer("GET", "/pools", (200, {"pools": []}))
    for _ in range(3):
        client.get("/pools")
    assert len(set(airflow.connections)) == len(airflow.connections)


@pytest.mark.parametrize("status", [401, 403])
def test_a_session_that_is_over_is_renewed(
    airflow: AirflowServer, client: AirflowClient, status: int
) -> None:
    airflow.answer("GET", "/pools", (200, {}))
    client.get("/pools")
    airflow.forget_sessions(status)
    assert client.get("/pools") == {}


def test_the_next_client_goes_on_with_the_session(airflow: AirflowServer) -> None:
    airflow.answer("GET", "/pools", (200, {}))
    kept: list[str] = []
    AirflowClient(airflow.url, PASSWORD, remember=kept.append).get("/pools")
    AirflowClient(airflow.url, PASSWORD, cookie=kept[0], remember=kept.append).get("/pools")
    assert (airflow.logins, len(kept)) == (1, 1)


def test_where_too_many_log_in_the_password_goes_along(
    airflow: AirflowServer, client: AirflowClient
) -> None:
    airflow.answer("GET", "/pools", (200, {"pools": []}))
    airflow.crowded = True
    assert client.get("/pools") == {"pools": []}


def test_a_wrong_password_is_told_without_the_password(airflow: AirflowServer) -> None:
    with pytest.raises(DevstackError) as refused:
        AirflowClient(airflow.url, "wrong word").get("/pools")
    assert refused.value.code == "AIRFLOW_LOGIN_FAILED"
    assert "wrong word" not in str(refused.value.as_dict())


def test_a_refusal_has_airflows_reason(airflow: AirflowServer, client: AirflowClient) -> None:
    airflow.answer("POST", "/pools", (409, {"title": "Conflict", "detail": "it is there"}))
    with pytest.raises(AirflowApiError) as refused:
        client.post("/pools", {"name": "x", "slots": 1})
    assert (refused.value.status, refused.value.detail) == (409, "it is there")


def test_what_is_not_there_is_none(client: AirflowClient) -> None:
    assert client.find("/dags/nothing") is None
    assert client.delete("/dags/nothing") is False


def test_what_is_there_is_deleted(airflow: AirflowServer, client: AirflowClient) -> None:
    airflow.answer("DELETE", "/dags/MyFlow", (204, ""))
    assert client.delete("/dags/MyFlow") is True


def test_an_airflow_in_trouble_is_away(airflow: AirflowServer, client: AirflowClient) -> None:
    airflow.answer("GET", "/pools", (500, "<html>a page of excuses</html>"))
    with pytest.raises(AirflowUnavailableError) as away:
        client.get("/pools")
    assert "html" not in str(away.value)


def test_an_airflow_that_is_not_there_is_away() -> None:
    with pytest.raises(AirflowUnavailableError, match="refused"):
        AirflowClient("http://127.0.0.1:1", PASSWORD).get("/pools")


def test_a_list_is_read_to_its_end(airflow: AirflowServer, client: AirflowClient) -> None:
    def page(query: dict[str, Any]) -> tuple[int, Any]:
        begin = int(query["offset"])
        ids = [
            {"dag_id": f"dag{n}", "is_paused": False} for n in range(begin, min(begin + 100, 250))
        ]
        return 200, {"dags": ids, "total_entries": 250}

    airflow.answer("GET", "/dags", page)
    assert [dag.dag_id for dag in list_dags(client)] == [f"dag{n}" for n in range(250)]


def test_a_dag_is_described(airflow: AirflowServer, client: AirflowClient) -> None:
    item = {
        "dag_id": "MyFlow",
        "is_paused": True,
        "schedule_interval": {"__type": "CronExpression", "value": "@daily"},
        "next_dagrun_create_after": None,
        "has_import_errors": True,
    }
    airflow.answer("GET", "/dags", (200, {"dags": [item], "total_entries": 1}))
    assert list_dags(client) == [Dag("MyFlow", True, "@daily", "", True)]


def test_a_pool_is_made_once(airflow: AirflowServer, client: AirflowClient) -> None:
    airflow.answer("POST", "/pools", (200, {}))
    assert ensure_pool(client, "few", 4) is True
    airflow.answer("GET", "/pools/few", (200, {"name": "few"}))
    assert ensure_pool(client, "few", 4) is False
    assert [asked for asked in airflow.asked if asked[0] == "POST"] == [
        ("POST", "/pools", {"name": "few", "slots": 4})
    ]


def test_a_runs_id_in_metaflow_is_the_one_that_its_tasks_use() -> None:
    # As the tasks of this very run had it.
    run = DagRun("FanFlow", RUN.run_id, "success", "manual", None, None, {})
    assert run.metaflow_id == "airflow-76678b88b389"


def test_tasks_come_in_the_order_in_which_they_began(
    airflow: AirflowServer, client: AirflowClient
) -> None:
    def item(step: str, index: int, began: str | None) -> dict[str, Any]:
        return {"task_id": step, "map_index": index, "state": "success", "start_date": began}

    items = [
        item("join", -1, None),
        item("work", 1, "2026-11-21T15:28:33+00:00"),
        item("work", 0, "2026-11-21T15:28:32+00:00"),
        item("start", -1, "2026-11-21T15:27:57+00:00"),
    ]
    path = f"{RUN.path}/taskInstances"
    airflow.answer("GET", path, (200, {"task_instances": items, "total_entries": 4}))
    names = [task.name for task in list_tasks(client, RUN)]
    assert names == ["start", "work[0]", "work[1]", "join"]


def test_a_log_is_reduced_to_the_tasks_own_words(
    airflow: AirflowServer, client: AirflowClient
) -> None:
    airflow.answer(
        "GET", f"{RUN.path}/taskInstances", (200, {"task_instances": [], "total_entries": 0})
    )
    log = "\n".join(
        [
            "[2026-11-21T15:28:47] {pod_manager.py:377} WARNING - Pod not yet started: fan-n",
            "[2026-11-21T15:30:29] {pod_manager.py:471} INFO - [base] working on 1",
            "[2026-11-21T15:30:30] {pod_manager.py:471} INFO - [base] [save_logs] upload_start",
        ]
    )
    task = Task("fan", 1, "success", 2, None, None, None)
    airflow.answer("GET", f"{RUN.path}/taskInstances/fan/logs/2", (200, log))
    assert list(task_output_lines(read_log(client, RUN, task))) == ["working on 1"]
