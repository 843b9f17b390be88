"""Things broken on a real stack, found by `devstack doctor`, and mended by `devstack up`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from devstack.waits import Observation, Ready, SystemClock, Waiting, wait_until
from tests.support.commandline import Devstack

TASKS = "metaflow"
DAGS = "/airflow/dags"
IN_SCHEDULER = ("exec", "-n", "airflow", "deploy/airflow-scheduler", "--", "python3")
AIRFLOW_DAGS = (*IN_SCHEDULER, "-m", "airflow", "dags")
UNKNOWN_POOL = """\
from datetime import datetime
from airflow import DAG
from airflow.operators.empty import EmptyOperator
with DAG("{name}", start_date=datetime(2026, 1, 1), schedule=None, is_paused_upon_creation=True):
    EmptyOperator(task_id="start", pool="{pool}")
"""


def found(stack: Devstack) -> dict[str, list[str]]:
    """Return the causes that the doctor names, by code."""
    checks = stack.json("doctor", check=False)["data"]["checks"]
    causes: dict[str, list[str]] = {}
    for finding in (finding for check in checks for finding in check["findings"]):
        causes.setdefault(finding["code"], []).append(finding["cause"])
    return causes


def await_finding(stack: Devstack, code: str) -> str:
    """Wait until the doctor names ``code``; return the first cause."""
    causes: list[str] = []

    def observe() -> Observation:
        told = found(stack)
        causes[:] = told.get(code, [])
        return Ready() if causes else Waiting(f"it found {told}")

    wait_until(
        observe, what=f"the doctor to find {code}", timeout=180, clock=SystemClock(), interval=2
    )
    return causes[0]


@contextmanager
def mended(stack: Devstack) -> Iterator[None]:
    """Break something meanwhile; see that `up` mends it."""
    try:
        yield
    finally:
        stack.run("up")
    assert found(stack) == {}


@contextmanager
def applied(stack: Devstack, folder: Path, item: dict[str, Any]) -> Iterator[None]:
    """Have an object in the cluster meanwhile."""
    file = folder / "object.json"
    file.write_text(json.dumps(item))
    stack.admin_kubectl("apply", "-f", str(file))
    try:
        yield
    finally:
        stack.admin_kubectl("delete", "-f", str(file), "--wait=true", "--grace-period=0")


@contextmanager
def dag_file(stack: Devstack, name: str, text: str) -> Iterator[None]:
    """Have a file among the DAGs meanwhile."""
    write = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    remove = "import sys, pathlib; pathlib.Path(sys.argv[1]).unlink()"
    path = f"{DAGS}/{name}.py"
    stack.admin_kubectl(*IN_SCHEDULER, "-c", write, path, text)
    try:
        yield
    finally:
        stack.admin_kubectl(*IN_SCHEDULER, "-c", remove, path)
        stack.admin_kubectl(*AIRFLOW_DAGS, "delete", "--yes", name, check=False)


def test_nothing_is_wrong_with_a_stack_that_is_up(stack: Devstack) -> None:
    assert found(stack) == {}


def test_a_verb_that_airflow_lost_is_named(stack: Devstack) -> None:
    patch = '[{"op": "remove", "path": "/rules/2"}]'
    with mended(stack):
        stack.admin_kubectl(
            "patch", "role", "airflow-tasks", "-n", TASKS, "--type=json", "-p", patch
        )
        cause = await_finding(stack, "RIGHTS_MISSING")
    assert cause == f"Role {TASKS}/airflow-tasks does not allow: get pods/exec, create pods/exec"


def test_a_secret_that_is_missing_is_named(stack: Devstack) -> None:
    with mended(stack):
        stack.admin_kubectl("delete", "secret", "metaflow-s3", "-n", TASKS)
        assert f"{TASKS}/metaflow-s3" in await_finding(stack, "SECRET_MISSING")


@pytest.mark.parametrize(
    ("namespace", "name", "code"),
    [
        ("airflow", "airflow-scheduler", "SCHEDULER_DOWN"),
        ("postgres", "postgres", "DATABASE_DOWN"),
    ],
)
def test_a_part_that_is_down_is_named(
    stack: Devstack, namespace: str, name: str, code: str
) -> None:
    with mended(stack):
        stack.admin_kubectl("scale", f"deployment/{name}", "-n", namespace, "--replicas=0")
        await_finding(stack, code)


def test_a_quota_that_is_used_up_is_named(stack: Devstack, tmp_path: Path) -> None:
    metadata = {"name": "none", "namespace": TASKS}
    spec = {"hard": {"pods": "0"}}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": spec}
    with applied(stack, tmp_path, quota):
        assert "0 of 0 pods" in await_finding(stack, "QUOTA_EXCEEDED")


def test_an_image_that_cannot_be_pulled_is_named(stack: Devstack, tmp_path: Path) -> None:
    metadata = {"name": "unknown-image", "namespace": TASKS}
    spec = {
        "restartPolicy": "Never",
        "containers": [{"name": "main", "image": "devstack/unknown:1"}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    with applied(stack, tmp_path, pod):
        assert "devstack/unknown:1" in await_finding(stack, "IMAGE_PULL_FAILED")


def test_a_dag_file_that_cannot_be_imported_is_named(stack: Devstack) -> None:
    # Airflow passes over files that do not have these two words in them.
    text = "# airflow dag\nimport nothing_of_this_name\n"
    with dag_file(stack, "doctor_broken", text):
        cause = await_finding(stack, "DAG_BROKEN")
    assert "doctor_broken.py" in cause
    assert "nothing_of_this_name" in cause


def test_a_pool_that_is_missing_is_named(stack: Devstack) -> None:
    text = UNKNOWN_POOL.format(name="doctor_pool", pool="of_nobody")
    with dag_file(stack, "doctor_pool", text):
        assert "'of_nobody'" in await_finding(stack, "POOL_MISSING")


def test_a_paused_dag_whose_run_waits_is_named(stack: Devstack) -> None:
    text = UNKNOWN_POOL.format(name="doctor_paused", pool="default_pool")
    trigger = [*AIRFLOW_DAGS, "trigger", "doctor_paused"]
    with dag_file(stack, "doctor_paused", text):
        wait_until(
            lambda: (
                Ready()
                if stack.admin_kubectl(*trigger, check=False).returncode == 0
                else Waiting("Airflow does not know the DAG yet")
            ),
            what="a run of a paused DAG",
            timeout=180,
            clock=SystemClock(),
            interval=2,
        )
        assert "doctor_paused is paused, and 1 of" in await_finding(stack, "DAG_PAUSED")
