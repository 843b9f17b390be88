"""The client of Airflow's REST API, against real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from devstack.airflow.client import AirflowApiError, AirflowClient, AirflowUnavailableError
from devstack.airflow.dags import Dag, ensure_pool, list_dags
from devstack.airflow.health import Activity, Health, get_activity, get_health
from devstack.airflow.runs import DagRun, Task, list_tasks, read_log
from devstack.airflow.task_log import task_output_lines
from devstack.errors import DevstackError
from devstack.schema import Error, dump
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


def test_each_request_is_authenticated_and_no_other_is_made(
    airflow: AirflowServer, client: AirflowClient
) -> None:
    airflow.answer("GET", "/pools", (200, {"pools": []}))
    assert [client.get("/pools") for _ in range(3)] == [{"pools": []}] * 3
    assert airflow.requests == [("GET", "/pools", None)] * 3


def test_no_connection_is_reused_since_airflow_may_close_it_during_the_next_request(
    airflow: AirflowServer, client: AirflowClient
) -> None:
    airflow.answer("GET", "/pools", (200, {"pools": []}))
    for _ in range(3):
        client.get("/pools")
    assert len(set(airflow.connections)) == len(airflow.connections) == 3


def test_a_wrong_password_is_reported_without_the_password(airflow: AirflowServer) -> None:
    with pytest.raises(DevstackError) as refused:
        AirflowClient(airflow.url, "wrong word").get("/pools")
    assert refused.value.code == "AIRFLOW_LOGIN_FAILED"
    assert "wrong word" not in str(dump(Error, refused.value))


def test_a_rejected_request_is_reported_with_airflows_reason(
    airflow: AirflowServer, client: AirflowClient
) -> None:
    airflow.answer("POST", "/pools", (409, {"title": "Conflict", "detail": "it exists"}))
    with pytest.raises(AirflowApiError) as refused:
        client.post("/pools", {"name": "x", "slots": 1})
    assert (refused.value.status, refused.value.detail) == (409, "it exists")


def test_a_missing_resource_is_none(client: AirflowClient) -> None:
    assert client.find("/dags/nothing") is None
    assert client.delete("/dags/nothing") is False


def test_an_existing_resource_is_deleted(airflow: AirflowServer, client: AirflowClient) -> None:
    airflow.answer("DELETE", "/dags/MyFlow", (204, ""))
    assert client.delete("/dags/MyFlow") is True


def test_a_server_error_is_an_unavailable_airflow(
    airflow: AirflowServer, client: AirflowClient
) -> None:
    airflow.answer("GET", "/pools", (500, "<html>a page of excuses</html>"))
    with pytest.raises(AirflowUnavailableError) as away:
        client.get("/pools")
    assert "html" not in str(away.value)


def test_a_refused_connection_is_an_unavailable_airflow() -> None:
    with pytest.raises(AirflowUnavailableError, match="refused"):
        AirflowClient("http://127.0.0.1:1", PASSWORD).get("/pools")


def test_all_pages_of_a_list_are_read(airflow: AirflowServer, client: AirflowClient) -> None:
    def page(query: dict[str, Any]) -> tuple[int, Any]:
        begin = int(query["offset"])
        ids = [
            {"dag_id": f"dag{n}", "is_paused": False} for n in range(begin, min(begin + 100, 250))
        ]
        return 200, {"dags": ids, "total_entries": 250}

    airflow.answer("GET", "/dags", page)
    assert [dag.dag_id for dag in list_dags(client)] == [f"dag{n}" for n in range(250)]


def test_a_dag_is_read(airflow: AirflowServer, client: AirflowClient) -> None:
    item = {
        "dag_id": "MyFlow",
        "is_paused": True,
        "schedule_interval": {"__type": "CronExpression", "value": "@daily"},
        "next_dagrun_create_after": None,
        "has_import_errors": True,
    }
    airflow.answer("GET", "/dags", (200, {"dags": [item], "total_entries": 1}))
    assert list_dags(client) == [Dag("MyFlow", True, "@daily", "", True)]


def test_a_pool_is_created_once(airflow: AirflowServer, client: AirflowClient) -> None:
    airflow.answer("POST", "/pools", (200, {}))
    assert ensure_pool(client, "few", 4) is True
    airflow.answer("GET", "/pools/few", (200, {"name": "few"}))
    assert ensure_pool(client, "few", 4) is False
    assert airflow.requested("POST") == [("/pools", {"name": "few", "slots": 4})]


def test_the_metaflow_id_of_a_run_is_the_one_that_its_tasks_use() -> None:
    # Recorded from a task of this run.
    run = DagRun("FanFlow", RUN.run_id, "success", "manual", None, None, {})
    assert run.metaflow_id == "airflow-76678b88b389"


def test_tasks_are_sorted_by_start(airflow: AirflowServer, client: AirflowClient) -> None:
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


def test_a_log_is_reduced_to_the_steps_output(
    airflow: AirflowServer, client: AirflowClient
) -> None:
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


def test_health_is_read_of_the_components_that_run(
    airflow: AirflowServer, client: AirflowClient
) -> None:
    components = {
        "metadatabase": {"status": "healthy"},
        "scheduler": {"status": "unhealthy", "latest_scheduler_heartbeat": None},
        "dag_processor": {"status": None, "latest_dag_processor_heartbeat": None},
    }
    airflow.answer("GET", "/health", (200, components))
    health = get_health(client)
    assert health == Health({"metadatabase": True, "scheduler": False})
    assert health.unhealthy == ["scheduler"]


def test_activity_counts_tasks_and_import_errors(
    airflow: AirflowServer, client: AirflowClient
) -> None:
    slots = {"running_slots": 1, "queued_slots": 2, "scheduled_slots": 3}
    airflow.answer("GET", "/health", (200, {"scheduler": {"status": "healthy"}}))
    airflow.answer("GET", "/pools", (200, {"pools": [slots, slots]}))
    errors = {"import_errors": [{"filename": "/airflow/dags/a.py"}], "total_entries": 1}
    airflow.answer("GET", "/importErrors", (200, errors))
    expected = Activity(Health({"scheduler": True}), 1, ("a.py",), running=2, queued=10)
    assert get_activity(client) == expected
