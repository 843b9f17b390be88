"""Faults of a real stack, reported by `devstack doctor` and repaired by `devstack up`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devstack.waits import Observation, Ready, SystemClock, Waiting, wait_until
from tests.airflow.airflow_stack import Airflow
from tests.support.commandline import Devstack
from tests.support.eventually import eventually
from tests.support.refusal import OF_MACHINE

TASKS = "metaflow"
QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "none", "namespace": TASKS},
    "spec": {"hard": {"pods": "0"}},
}
UNKNOWN_IMAGE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "unknown-image", "namespace": TASKS},
    "spec": {
        "restartPolicy": "Never",
        "containers": [{"name": "main", "image": "devstack/unknown:1"}],
    },
}
DAG = """\
from datetime import datetime
from airflow import DAG
from airflow.operators.empty import EmptyOperator
with DAG("{name}", start_date=datetime(2026, 1, 1), schedule=None, is_paused_upon_creation=True):
    EmptyOperator(task_id="start", pool="{pool}")
"""
DAG_FILES = {
    # Airflow skips files that do not contain these two words.
    "doctor_broken": "# airflow dag\nimport nothing_of_this_name\n",
    "doctor_pool": DAG.format(name="doctor_pool", pool="missing"),
    "doctor_paused": DAG.format(name="doctor_paused", pool="default_pool"),
}


@dataclass(frozen=True)
class Report:
    """What the doctor reported.

    Attributes:
        faults: causes by code, while the faults were there.
        repaired: causes by code, after they were removed or repaired.
    """

    faults: dict[str, list[str]]
    repaired: dict[str, list[str]]


def diagnose(stack: Devstack) -> dict[str, list[str]]:
    """Return the causes that the doctor reports of the stack, by code."""
    checks = stack.json("doctor", check=False)["data"]["checks"]
    causes: dict[str, list[str]] = {}
    for finding in (finding for check in checks for finding in check["findings"]):
        if finding["code"] not in OF_MACHINE:
            causes.setdefault(finding["code"], []).append(finding["cause"])
    return causes


def wait_for_findings(stack: Devstack, *codes: str) -> dict[str, list[str]]:
    """Wait until the doctor reports all codes at once; return all causes by code."""
    causes: dict[str, list[str]] = {}

    def observe() -> Observation:
        causes.clear()
        causes.update(diagnose(stack))
        missing = set(codes) - set(causes)
        return Waiting(f"{missing} not among {causes}") if missing else Ready()

    what = f"the doctor to report {', '.join(codes)}"
    wait_until(observe, what=what, timeout=180, clock=SystemClock(), interval=2)
    return causes


@contextmanager
def objects(stack: Devstack, folder: Path, *items: dict[str, Any]) -> Iterator[None]:
    """Create objects in the cluster, one after the other, and delete them afterwards."""
    file = folder / "objects.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)}))
    stack.admin_kubectl("apply", "-f", str(file))
    try:
        yield
    finally:
        stack.admin_kubectl("delete", "-f", str(file), "--wait=true", "--grace-period=0")


@contextmanager
def dag_files(airflow: Airflow) -> Iterator[None]:
    """Write the DAG files and trigger the paused DAG; delete them afterwards."""
    for name, text in DAG_FILES.items():
        airflow.write(name, text)
    try:
        path = "dags/doctor_paused/dagRuns"
        eventually(
            "a run of the paused DAG",
            lambda: airflow.request("POST", path, conf={}).status_code == 200,
            timeout=180,
            interval=1.0,
        )
        yield
    finally:
        paths = [f"/airflow/dags/{name}.py" for name in DAG_FILES]
        airflow.kubectl("exec", airflow.pod("scheduler"), "--", "rm", *paths)
        for name in DAG_FILES:
            eventually(
                f"the deletion of {name}",
                lambda name=name: airflow.request("DELETE", f"dags/{name}").status_code == 404,  # type: ignore[misc]
            )


@pytest.fixture(scope="module")
def report(stack: Devstack, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report with all faults that do not hide each other; the last two are left to `up`."""
    codes = ["QUOTA_EXCEEDED", "IMAGE_PULL_FAILED", "DAG_BROKEN", "POOL_MISSING", "DAG_PAUSED"]
    # The pod precedes the quota, which would reject it.
    items = objects(stack, tmp_path_factory.mktemp("doctor"), UNKNOWN_IMAGE, QUOTA)
    with items, dag_files(Airflow(stack)):
        patch = '[{"op": "remove", "path": "/rules/2"}]'
        role = ("role", "airflow-tasks", "-n", TASKS, "--type=json", "-p", patch)
        stack.admin_kubectl("patch", *role)
        stack.admin_kubectl("delete", "secret", "metaflow-s3", "-n", TASKS)
        faults = wait_for_findings(stack, *codes, "RIGHTS_MISSING", "SECRET_MISSING")
    stack.run("up")
    return Report(faults, diagnose(stack))


@pytest.fixture(scope="module")
def scaled(stack: Devstack) -> Report:
    """The report with the scheduler and the database scaled to zero."""
    for namespace, name in (("airflow", "airflow-scheduler"), ("postgres", "postgres")):
        stack.admin_kubectl("scale", f"deployment/{name}", "-n", namespace, "--replicas=0")
    faults = wait_for_findings(stack, "SCHEDULER_DOWN", "DATABASE_DOWN")
    stack.run("up")
    return Report(faults, diagnose(stack))


def test_a_healthy_stack_has_no_findings(stack: Devstack) -> None:
    def observe() -> Observation:
        causes = diagnose(stack)
        return Waiting(f"found {causes}") if causes else Ready()

    # Directly after `up`, a slow machine is too busy for the doctor's requests of 5 s.
    wait_until(observe, what="no findings", timeout=120, clock=SystemClock(), interval=2)


@pytest.mark.breaks("rights")
def test_a_missing_verb_of_airflows_role(report: Report) -> None:
    assert report.faults["RIGHTS_MISSING"] == [
        f"Role {TASKS}/airflow-tasks does not allow: get pods/exec, create pods/exec"
    ]


@pytest.mark.breaks("secrets")
def test_a_missing_secret(report: Report) -> None:
    assert f"{TASKS}/metaflow-s3" in report.faults["SECRET_MISSING"][0]


@pytest.mark.breaks("quota")
def test_an_exceeded_quota(report: Report) -> None:
    assert any("of 0 pods" in cause for cause in report.faults["QUOTA_EXCEEDED"])


@pytest.mark.breaks("task-pods")
def test_an_image_that_cannot_be_pulled(report: Report) -> None:
    assert "devstack/unknown:1" in report.faults["IMAGE_PULL_FAILED"][0]


@pytest.mark.breaks("dags")
def test_a_dag_file_that_cannot_be_imported(report: Report) -> None:
    (cause,) = report.faults["DAG_BROKEN"]
    assert "doctor_broken.py" in cause
    assert "nothing_of_this_name" in cause


def test_a_missing_pool(report: Report) -> None:
    (cause,) = report.faults["POOL_MISSING"]
    assert "'missing'" in cause


def test_a_paused_dag_with_a_queued_run(report: Report) -> None:
    (cause,) = report.faults["DAG_PAUSED"]
    assert "doctor_paused is paused, and 1 of" in cause


def test_a_role_and_a_secret_are_repaired_by_up(report: Report) -> None:
    assert report.repaired == {}


@pytest.mark.breaks("scheduler")
@pytest.mark.breaks("database")
def test_a_scheduler_and_a_database_that_are_down(scaled: Report) -> None:
    assert "airflow/airflow-scheduler is scaled to zero" in scaled.faults["SCHEDULER_DOWN"][0]
    assert "postgres/postgres is scaled to zero" in scaled.faults["DATABASE_DOWN"][0]


def test_a_scheduler_and_a_database_are_restarted_by_up(scaled: Report) -> None:
    assert scaled.repaired == {}
