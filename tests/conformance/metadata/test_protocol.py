"""What Metaflow's provider relies on, request by request."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.conformance.metadata.service import Service

pytestmark = pytest.mark.docker

MISSING = "/flows/Nobody/runs/1"


def new_run(service: Service, flow: str, **body: Any) -> str:
    return f"{flow}/runs/{service.post(f'{flow}/run', body)['run_number']}"


def new_task(service: Service, run: str, step: str = "start", **body: Any) -> str:
    service.request("POST", f"{run}/steps/{step}/step", {})
    made = service.post(f"{run}/steps/{step}/task", body)
    return f"{run}/steps/{step}/tasks/{made['task_id']}"


def artifact(name: str, attempt: int = 0, **others: Any) -> dict[str, Any]:
    made = {"name": name, "attempt_id": attempt, "sha": f"{name}-{attempt}", "ds_type": "s3"}
    return {**made, "location": ":root:s3://x", "content_type": "gzip+pickle-v4", **others}


def entry(name: str, value: Any, attempt: int = 0) -> dict[str, Any]:
    return {"field_name": name, "value": value, "type": name, "tags": [f"attempt_id:{attempt}"]}


def test_the_version_requires_no_key(service: Service) -> None:
    answer = requests.get(f"{service.url}/ping", timeout=10)
    assert answer.text == "pong"
    assert answer.headers["METADATA_SERVICE_VERSION"] == "2.5.0"


@pytest.mark.parametrize("key", [None, "", "another"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/flows"), ("POST", "/flows/F")])
def test_requests_without_the_key_are_rejected(
    service: Service, method: str, path: str, key: str | None
) -> None:
    headers = {} if key is None else {"x-api-key": key}
    answer = requests.request(method, service.url + path, headers=headers, json={}, timeout=10)
    assert answer.status_code == 403
    assert "x-api-key" in answer.json()["message"]


def test_runs_and_tasks_without_a_name_are_numbered(service: Service, flow: str) -> None:
    numbers = [int(service.post(f"{flow}/run")["run_number"]) for _ in range(3)]
    assert numbers == sorted(set(numbers))
    run = f"{flow}/runs/{numbers[0]}"
    assert int(new_task(service, run).rpartition("/")[2]) > 0


def test_names_from_callers_are_used(service: Service, flow: str) -> None:
    run = new_run(service, flow, run_number="airflow-0f3a", user_name="ada", tags=["t"])
    assert run == f"{flow}/runs/airflow-0f3a"
    task = new_task(service, run, "square", task_id="airflow-9-2")
    assert task == f"{run}/steps/square/tasks/airflow-9-2"
    assert service.get(run)["user_name"] == "ada"
    shown = service.get(task)
    assert (shown["run_number"], shown["task_id"]) == ("airflow-0f3a", "airflow-9-2")


def test_names_are_unique_only_within_their_parent(service: Service, flow: str) -> None:
    runs = [new_run(service, flow, run_number=name) for name in ("a-1", "a-2")]
    assert [new_task(service, run, task_id="t-1") for run in runs]


@pytest.mark.parametrize("name", ["7", 7, "", "a/b"])
def test_invalid_names_are_rejected(service: Service, flow: str, name: object) -> None:
    answer = service.request("POST", f"{flow}/run", {"run_number": name})
    assert answer.status_code == 400
    assert "run_number" in answer.json()["message"]


def test_an_existing_record_is_a_conflict(service: Service, flow: str) -> None:
    run = new_run(service, flow, run_number="once")
    task = new_task(service, run, task_id="once")
    again = {
        flow: {},
        f"{flow}/run": {"run_number": "once"},
        f"{run}/steps/start/step": {},
        f"{task.rpartition('s/')[0]}": {"task_id": "once"},
    }
    assert {service.request("POST", path, body).status_code for path, body in again.items()} == {
        409
    }


def test_of_many_concurrent_registrations_one_succeeds(service: Service, flow: str) -> None:
    body = {"run_number": "race"}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: service.request("POST", f"{flow}/run", body), range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 15


def test_numbers_are_never_assigned_twice(service: Service, flow: str) -> None:
    run = new_run(service, flow)
    with ThreadPoolExecutor(8) as pool:
        tasks = list(pool.map(lambda _: new_task(service, run), range(80)))
    assert len(set(tasks)) == 80
    assert len(service.get(f"{run}/steps/start/tasks")) == 80


@pytest.mark.parametrize(
    "path",
    [
        "/flows/Nobody",
        MISSING,
        f"{MISSING}/steps/start",
        f"{MISSING}/steps/start/tasks/1",
        f"{MISSING}/steps/start/tasks/1/artifacts/x",
        f"{MISSING}/steps/start/tasks/1/artifacts/x/attempt/0",
        "/flows/Nobody/runs",
        f"{MISSING}/steps",
        f"{MISSING}/steps/start/tasks",
        f"{MISSING}/steps/start/tasks/1/metadata",
        f"{MISSING}/steps/start/tasks/1/artifacts",
        f"{MISSING}/steps/start/tasks/1/attempt/0/artifacts",
    ],
)
def test_a_missing_record_is_not_found(service: Service, path: str) -> None:
    answer = service.request("GET", path)
    assert answer.status_code == 404
    assert "Nobody" in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/flows/Nobody/run", {}),
        (f"{MISSING}/steps/start/step", {}),
        (f"{MISSING}/steps/start/task", {}),
        (f"{MISSING}/steps/start/tasks/1/artifact", [artifact("x")]),
        (f"{MISSING}/steps/start/tasks/1/metadata", [entry("x", "y")]),
        (f"{MISSING}/heartbeat", {}),
        (f"{MISSING}/steps/start/tasks/1/heartbeat", {}),
    ],
)
def test_nothing_is_registered_below_a_missing_parent(
    service: Service, path: str, body: Any
) -> None:
    assert service.request("POST", path, body).status_code == 404


def test_lists_start_with_the_newest(service: Service, flow: str) -> None:
    runs = [new_run(service, flow) for _ in range(3)]
    listed = [f"{flow}/runs/{run['run_number']}" for run in service.get(f"{flow}/runs")]
    assert listed == runs[::-1]
    assert service.get("/flows")[0]["flow_id"] == flow.rpartition("/")[2]


def test_a_record_without_children_has_an_empty_list(service: Service, flow: str) -> None:
    run = new_run(service, flow)
    task = new_task(service, run)
    empty = [f"{task}/artifacts", f"{task}/metadata", f"{new_run(service, flow)}/steps"]
    assert [service.get(path) for path in empty] == [[], [], []]


def test_lists_reach_any_depth(service: Service, flow: str) -> None:
    task = new_task(service, new_run(service, flow))
    service.post(f"{task}/artifact", [artifact("x")])
    for plural in ("runs", "steps", "tasks", "artifacts"):
        assert len(service.get(f"{flow}/{plural}")) == 1
        assert service.get(f"/{plural}?limit=1")


def test_a_long_list_is_read_page_by_page(service: Service, flow: str) -> None:
    runs = [new_run(service, flow).rpartition("/")[2] for _ in range(5)]
    numbers, path = [], f"{flow}/runs?limit=2"
    while path:
        answer = service.request("GET", path)
        page = answer.json()
        assert len(page) <= 2
        numbers += [run["run_number"] for run in page]
        # A new run does not shift the pages.
        new_run(service, flow)
        path = answer.links.get("next", {}).get("url", "")
    assert numbers == runs[::-1]


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "after=1e3", f"after={2**63}", "limit="])
def test_an_invalid_page_is_rejected(service: Service, flow: str, query: str) -> None:
    assert service.request("GET", f"{flow}/runs?{query}").status_code == 400


def test_artifacts_are_those_of_the_latest_attempt(service: Service, flow: str) -> None:
    task = new_task(service, new_run(service, flow))
    service.post(f"{task}/artifact", [artifact("_success", 0), artifact("x", 0)])
    service.post(f"{task}/artifact", [artifact("_success", 1), artifact("y", 1)])
    assert [each["sha"] for each in service.get(f"{task}/artifacts")] == ["_success-1", "y-1"]
    assert service.get(f"{task}/artifacts/_success")["attempt_id"] == 1
    # The first attempt had it, the latest has not.
    assert service.request("GET", f"{task}/artifacts/x").status_code == 404


def test_artifacts_of_any_attempt_are_readable(service: Service, flow: str) -> None:
    task = new_task(service, new_run(service, flow))
    service.post(f"{task}/artifact", [artifact("x", 0)])
    service.post(f"{task}/artifact", [artifact("x", 1)])
    assert service.get(f"{task}/artifacts/x/attempt/0")["sha"] == "x-0"
    assert [each["sha"] for each in service.get(f"{task}/attempt/0/artifacts")] == ["x-0"]
    assert service.get(f"{task}/attempt/5/artifacts") == []
    assert service.request("GET", f"{task}/artifacts/x/attempt/5").status_code == 404


def test_artifacts_of_steps_and_runs_are_each_tasks_latest(service: Service, flow: str) -> None:
    run = new_run(service, flow)
    once, twice = new_task(service, run), new_task(service, run)
    service.post(f"{once}/artifact", [artifact("x", 0)])
    service.post(f"{twice}/artifact", [artifact("x", 0)])
    service.post(f"{twice}/artifact", [artifact("x", 1)])
    for path in (run, f"{run}/steps/start"):
        assert [each["sha"] for each in service.get(f"{path}/artifacts")] == ["x-0", "x-1"]


def test_artifacts_sent_twice_are_stored_once(service: Service, flow: str) -> None:
    task = new_task(service, new_run(service, flow))
    for _ in range(2):
        sent = service.post(f"{task}/artifact", [artifact("x"), artifact("x", sha="last")])
        assert sent == {"artifacts_created": 1}
    assert [each["sha"] for each in service.get(f"{task}/artifacts")] == ["last"]


def test_all_metadata_is_stored_in_order(service: Service, flow: str) -> None:
    task = new_task(service, new_run(service, flow))
    for attempt in range(3):
        service.post(f"{task}/metadata", [entry("attempt", str(attempt), attempt)])
    result = service.get(f"{task}/metadata")
    assert [each["value"] for each in result] == ["0", "1", "2"]
    assert [each["tags"] for each in result] == [[f"attempt_id:{n}"] for n in range(3)]
    assert [each["ts_epoch"] for each in result] == sorted(each["ts_epoch"] for each in result)


def test_values_of_any_length_and_with_any_character_are_stored(
    service: Service, flow: str
) -> None:
    task = new_task(service, new_run(service, flow))
    values = ["x" * 100_000, "naïve ✓ 🚀", "a\0b", "half \ud83d", '"quoted" \\u0000', None]
    service.post(f"{task}/metadata", [entry("text", value) for value in values])
    stored = [each["value"] for each in service.get(f"{task}/metadata")]
    assert stored == [*values[:2], "a\ufffdb", "half ?", values[4], None]


def test_tasks_are_found_by_their_metadata(service: Service, flow: str) -> None:
    run = new_run(service, flow)
    tasks = [new_task(service, run) for _ in range(3)]
    for task, place in zip(tasks, ("a:1", "a:10", "b:1"), strict=True):
        service.post(f"{task}/metadata", [entry("place", place), entry("other", "a:1")])

    def found(**query: str) -> list[str]:
        listed: list[str] = service.get(f"{run}/steps/start/filtered_tasks", params=query)
        return [path.rpartition("/")[2] for path in listed]

    ids = [task.rpartition("/")[2] for task in tasks]
    assert found() == ids
    assert found(metadata_field_name="place", pattern="^(?:a:1)$") == ids[:1]
    assert found(metadata_field_name="place", pattern="^(?:a:.*)$") == ids[:2]
    assert found(metadata_field_name="nothing") == []


def test_a_search_below_a_missing_run_returns_nothing(service: Service) -> None:
    # Metaflow would take 404 for a service that is too old to search.
    assert service.get(f"{MISSING}/steps/start/filtered_tasks") == []


def test_an_invalid_pattern_is_rejected(service: Service, flow: str) -> None:
    task = new_task(service, new_run(service, flow))
    service.post(f"{task}/metadata", [entry("place", "x")])
    path = f"{task.rpartition('/tasks')[0]}/filtered_tasks"
    answer = service.request("GET", path, params={"pattern": "("})
    assert answer.status_code == 400
    assert "regular expression" in answer.json()["message"]


def test_a_heartbeat_is_acknowledged_and_stored(service: Service, flow: str) -> None:
    run = new_run(service, flow)
    task = new_task(service, run)
    for path in (run, task):
        assert service.get(path)["last_heartbeat_ts"] is None
        answer = service.post(f"{path}/heartbeat")
        # Metaflow reads JSON that is within a string.
        assert json.loads(answer) == {"wait_time_in_seconds": 10}
        shown = service.get(path)
        assert shown["last_heartbeat_ts"] >= shown["ts_epoch"]


def test_tags_of_a_run_are_changed_in_one_request(service: Service, flow: str) -> None:
    run = new_run(service, flow, tags=["old", "kept"], system_tags=["user:ada"])
    task = new_task(service, run)
    change = {"tags_to_remove": ["old", "both"], "tags_to_add": ["new", "both", "user:ada"]}
    answer = service.request("PATCH", f"{run}/tag/mutate", change)
    assert answer.status_code == 200
    assert answer.json()["tags"] == ["both", "kept", "new"]
    for path in (run, task):
        assert service.get(path)["tags"] == ["both", "kept", "new"]
        assert service.get(path)["system_tags"] == ["user:ada"]


@pytest.mark.parametrize(
    "change",
    [
        {"tags_to_remove": ["user:ada"]},
        {"tags_to_add": [f"tag{n}" for n in range(51)]},
        {"tags_to_add": ["x" * 501]},
        {"tags_to_add": [""]},
    ],
)
def test_invalid_tags_are_rejected(service: Service, flow: str, change: dict[str, Any]) -> None:
    run = new_run(service, flow, tags=["mine"], system_tags=["user:ada"])
    answer = service.request("PATCH", f"{run}/tag/mutate", change)
    assert answer.status_code == 422
    assert service.get(run)["tags"] == ["mine"]


def test_no_change_of_tags_is_lost(service: Service, flow: str) -> None:
    run = new_run(service, flow)

    def add(number: int) -> int:
        change = {"tags_to_add": [f"tag{number}"]}
        return service.request("PATCH", f"{run}/tag/mutate", change).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(add, range(40))) == {200}
    assert len(service.get(run)["tags"]) == 40


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("run", "no JSON"),
        ("run", "[]"),
        ("run", '{"tags": "x"}'),
        ("runs/r/steps/s/tasks/t/artifact", "{}"),
        ("runs/r/steps/s/tasks/t/artifact", '[{"sha": "no name"}]'),
        ("runs/r/steps/s/tasks/t/artifact", '[{"name": "x", "attempt_id": "y"}]'),
        ("runs/r/steps/s/tasks/t/metadata", "[1]"),
        ("runs/r/steps/s/tasks/t/metadata", '[{"value": "no name"}]'),
    ],
)
def test_an_invalid_body_is_rejected(service: Service, flow: str, path: str, text: str) -> None:
    new_task(service, new_run(service, flow, run_number="r"), "s", task_id="t")
    headers = {"x-api-key": service.key}
    answer = requests.post(f"{service.url}{flow}/{path}", data=text, headers=headers, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_an_unknown_path_is_named(service: Service) -> None:
    answer = service.request("GET", "/nowhere")
    assert answer.status_code == 404
    assert "/nowhere" in answer.json()["message"]
