"""The samples for Airflow run successfully, and their results are correct."""

from __future__ import annotations

from typing import Any

import pytest

from devstack.samples.catalogue import DAG_SAMPLES
from tests.airflow.flows_on_airflow import airflow
from tests.support.commandline import Devstack


@pytest.fixture(scope="module")
def ran(stack: Devstack) -> dict[str, Any]:
    """The results of `devstack run --airflow` for all samples, by name."""
    return stack.samples("--airflow")


# That for Celery's workers: tests/celery/test_changes.py.
@pytest.mark.parametrize("name", [sample.name for sample in DAG_SAMPLES if not sample.needs_celery])
def test_a_sample_succeeds(ran: dict[str, Any], name: str) -> None:
    sample = ran[name]
    assert sample["ok"], sample["wrong"] or sample["error"]
    assert sample["checked"] >= 5
    assert sample["state"] == "success"
    assert {task["state"] for task in sample["tasks"]} == {"success"}


def test_the_scheduled_sample_is_started_by_the_scheduler(ran: dict[str, Any]) -> None:
    assert ran["scheduled"]["kind"] == "scheduled"


def test_the_scheduled_sample_is_left_paused(stack: Devstack, ran: dict[str, Any]) -> None:
    dags = {dag["dag_id"]: dag for dag in airflow(stack, "list")["data"]["dags"]}
    assert dags["ScheduledFlow"]["paused"] is True


def test_a_sample_accepts_parameters(stack: Devstack) -> None:
    done = stack.run("run", "--airflow", "linear", "--", "--greeting", "Hi", "--times", "1")
    assert "succeeded" in done.stdout
    assert "The DAG said: Hi Airflow" in stack.run("airflow", "logs", "LinearFlow", "end").stdout
