"""A task in a queue that no worker serves is reported at once, instead of waiting forever."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from devstack.errors import ExitStatus
from tests.airflow.airflow_stack import Airflow
from tests.celery.counted import deploy_counted, executions, instances
from tests.support.commandline import Devstack
from tests.support.eventually import eventually

DAG = "unserved"
SECONDS = 120
"""Without the report, `trigger --wait` would never end."""


@pytest.fixture
def unserved(airflow: Airflow, stack: Devstack) -> Iterator[None]:
    """A DAG with a task in the queue ``gpu``."""
    deploy_counted(airflow, DAG, 1, queue="gpu")
    yield
    stack.run("airflow", "delete", "--force", DAG)


@pytest.fixture
def queued(airflow: Airflow, unserved: None) -> None:
    """A run of that DAG whose task is queued."""
    run = airflow.start(DAG)
    eventually(
        "the task", lambda: [each["state"] for each in instances(airflow, run)] == ["queued"]
    )


@pytest.mark.usefixtures("unserved")
def test_a_followed_run_is_stopped(airflow: Airflow, stack: Devstack) -> None:
    done = stack.run("airflow", "trigger", DAG, "--wait", "--json", check=False, timeout=SECONDS)
    assert done.returncode == ExitStatus.FLOW_FAILED
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "QUEUE_WITHOUT_WORKER"
    assert "no worker serves the queue 'gpu'" in error["cause"]
    [run] = airflow.get(f"dags/{DAG}/dagRuns")["dag_runs"]
    assert run["state"] == "failed"
    assert executions(airflow, f"dags/{DAG}/dagRuns/{run['dag_run_id']}") == {}


@pytest.mark.usefixtures("queued")
def test_why_names_the_queue(stack: Devstack) -> None:
    done = stack.run("why", DAG, check=False)
    assert done.returncode == ExitStatus.FAILED
    assert "no worker serves the queue 'gpu'" in done.stdout


@pytest.mark.usefixtures("queued")
def test_the_doctor_names_the_queue(stack: Devstack) -> None:
    checks = stack.json("doctor", check=False)["data"]["checks"]
    [celery] = [check for check in checks if check["name"] == "celery"]
    assert [finding["code"] for finding in celery["findings"]] == ["QUEUE_WITHOUT_WORKER"]
    assert "'gpu'" in celery["findings"][0]["cause"]
