"""Databases that start late or restart; services that are killed; two services at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from devstack.waits import Ready, SystemClock, Waiting, wait_until
from tests.conformance.metadata.service import Metaflow, Postgres, Service

pytestmark = pytest.mark.docker


@pytest.fixture
def own(postgres: Postgres, tmp_path: Path) -> Iterator[Service]:
    """A service that a test may kill, on the database of the others."""
    running = Service(postgres.url(), tmp_path / "log")
    running.start()
    running.wait_ready()
    yield running
    running.kill()


def test_a_service_waits_for_a_database_that_starts_later(
    postgres: Postgres, service: Service, tmp_path: Path
) -> None:
    early = Service(postgres.url("late"), tmp_path / "log")
    early.start()
    wait_until(
        lambda: Ready() if _status(early, "/ping") == 200 else Waiting("it does not listen yet"),
        what="the service to listen",
        timeout=30,
        clock=SystemClock(),
    )
    refused = requests.get(f"{early.url}/ready", timeout=30)
    assert refused.status_code == 503
    assert 'database "late" does not exist' in refused.json()["message"]
    postgres.psql("CREATE DATABASE late")
    early.wait_ready()
    assert early.get("/flows") == []
    early.stop()


def _status(service: Service, path: str) -> int:
    try:
        return requests.get(service.url + path, timeout=30).status_code
    except requests.ConnectionError:
        return 0


def test_two_services_create_the_tables_once(
    postgres: Postgres, service: Service, tmp_path: Path
) -> None:
    postgres.psql("CREATE DATABASE shared")
    both = [Service(postgres.url("shared"), tmp_path / str(n), key="k") for n in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.wait_ready()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: both[n % 2].request("POST", "/flows/One", {}), range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
        made = pool.map(lambda n: both[n % 2].post("/flows/One/run")["run_number"], range(60))
        assert len(set(made)) == 60
    assert len(both[0].get("/flows/One/runs")) == len(both[1].get("/flows/One/runs")) == 60
    for each in both:
        each.stop()


def test_confirmed_writes_survive_a_killed_service(own: Service) -> None:
    own.post("/flows/Kept")
    run = own.post("/flows/Kept/run", {"tags": ["t"]})["run_number"]
    own.kill()
    own.start()
    own.wait_ready()
    assert own.get(f"/flows/Kept/runs/{run}")["tags"] == ["t"]
    assert int(own.post("/flows/Kept/run")["run_number"]) > int(run)


def test_a_flow_survives_a_killed_database(
    postgres: Postgres, service: Service, metaflow: Metaflow, tmp_path: Path
) -> None:
    flow = metaflow.start("slow", "run", "--folder", str(tmp_path))
    wait_until(
        lambda: Ready() if (tmp_path / "begun").exists() else Waiting("it has not begun"),
        what="the flow's first step",
        timeout=120,
        clock=SystemClock(),
    )
    postgres.kill()
    refused = service.request("GET", "/flows")
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    (tmp_path / "go").touch()
    postgres.start()
    service.wait_ready()
    output, _ = flow.communicate(timeout=240)
    assert flow.returncode == 0, output
    assert metaflow.evaluate(
        'run = Flow("SlowFlow").latest_run\nfound = [run.successful, run.data.answer]'
    ) == [
        True,
        42,
    ]


def test_a_flow_survives_a_killed_service(service: Service, own: Service, tmp_path: Path) -> None:
    metaflow = Metaflow(own, tmp_path)
    flow = metaflow.start("slow", "run", "--folder", str(tmp_path))
    wait_until(
        lambda: Ready() if (tmp_path / "begun").exists() else Waiting("it has not begun"),
        what="the flow's first step",
        timeout=120,
        clock=SystemClock(),
    )
    own.kill()
    (tmp_path / "go").touch()
    own.start()
    output, _ = flow.communicate(timeout=240)
    assert flow.returncode == 0, output
    assert metaflow.evaluate('found = Flow("SlowFlow").latest_run.successful') is True


def test_lost_tables_are_created_again(postgres: Postgres, tmp_path: Path) -> None:
    postgres.psql("CREATE DATABASE lost")
    running = Service(postgres.url("lost"), tmp_path / "log")
    running.start()
    running.wait_ready()
    running.post("/flows/Gone")
    postgres.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public", database="lost")
    running.wait_ready()
    assert running.get("/flows") == []
    running.stop()
