"""Airflow as a platform: configuration, failures of its components, and persistence."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.airflow.airflow_stack import Airflow
from tests.support.cluster import node
from tests.support.commandline import Devstack
from tests.support.eventually import eventually

RESULT = "mkdir -p /airflow/xcom && echo '{\"n\": 42}' >/airflow/xcom/return.json"
SLOW = f"echo begun; sleep 25; {RESULT}"


@pytest.fixture
def airflow(stack: Devstack) -> Iterator[Airflow]:
    """Airflow, healthy before and after each test."""
    found = Airflow(stack)
    eventually("Airflow to be healthy", found.answers)
    yield found
    eventually("Airflow to be healthy again", found.answers, timeout=180)
    eventually("the stack to be up", lambda: _is_up(stack), timeout=180)


def _is_up(stack: Devstack) -> bool:
    return bool(stack.json("status", check=False)["data"]["state"] == "up")


def _deployed_and_run(airflow: Airflow, dag_id: str, script: str) -> str:
    """Deploy a DAG and run it successfully; return the run."""
    airflow.deploy(dag_id, script)
    run = airflow.start(dag_id)
    assert airflow.finish(run) == "success"
    return run


def _begun(airflow: Airflow, run: str, dag_id: str) -> bool:
    pods = airflow.task_pods(dag_id)
    return bool(pods) and pods[0]["status"]["phase"] == "Running"


def test_a_task_returns_its_result_by_a_sidecar_that_is_never_pulled(airflow: Airflow) -> None:
    run = _deployed_and_run(airflow, "handover", RESULT)
    assert "42" in str(airflow.result(run))
    eventually("the pod to go", lambda: not airflow.task_pods("handover"))


def test_a_file_replaced_within_a_second_at_the_same_size_is_parsed(
    airflow: Airflow,
) -> None:
    """Python's bytecode cache would not notice: it compares seconds and size."""
    airflow.deploy("replaced", RESULT.replace("42", "11"))
    airflow.deploy("replaced", RESULT.replace("42", "77"))
    eventually("the second file", lambda: "77" in _source(airflow, "replaced"), timeout=30)


def _source(airflow: Airflow, dag_id: str) -> str:
    token = airflow.get(f"dags/{dag_id}")["file_token"]
    return airflow.request("GET", f"dagSources/{token}").text


def test_a_broken_file_is_reported_with_its_traceback_and_affects_no_other(
    airflow: Airflow, stack: Devstack
) -> None:
    airflow.write("broken", "from airflow import DAG\nraise ValueError('by design')\n")
    try:
        eventually("the error", lambda: airflow.get("importErrors")["total_entries"] == 1)
        (error,) = airflow.get("importErrors")["import_errors"]
        assert error["filename"].endswith("/broken.py")
        assert "Traceback" in error["stack_trace"]
        assert "by design" in error["stack_trace"]
        services = stack.json("status")["data"]["services"]
        (detail,) = [each["detail"] for each in services if each["name"] == "airflow"]
        assert "1 import error: broken.py" in detail
        airflow.deploy("beside", RESULT)
        assert airflow.finish(airflow.start("beside")) == "success"
    finally:
        airflow.kubectl("exec", airflow.pod("scheduler"), "--", "rm", "/airflow/dags/broken.py")
    eventually("the error to go", lambda: airflow.get("importErrors")["total_entries"] == 0)


@dataclass(frozen=True)
class Finished:
    """A successful run of the DAG ``lasting``, whose task has printed ``remember-me``."""

    airflow: Airflow
    run: str

    def check(self) -> None:
        """Check that the run's state and log are there, and that the DAG still runs."""
        assert self.airflow.state_of(self.run) == "success"
        assert "remember-me" in self.airflow.log(self.run)
        assert self.airflow.finish(self.airflow.start("lasting")) == "success"


@pytest.fixture(scope="module")
def finished(stack: Devstack) -> Finished:
    airflow = Airflow(stack)
    eventually("Airflow to be healthy", airflow.answers)
    run = _deployed_and_run(airflow, "lasting", f"echo remember-me; {RESULT}")
    return Finished(airflow, run)


def test_a_run_survives_a_killed_scheduler(airflow: Airflow) -> None:
    airflow.deploy("survivor", SLOW, retries=2)
    run = airflow.start("survivor")
    eventually("the task to run", lambda: _begun(airflow, run, "survivor"))
    airflow.kill("scheduler")
    assert airflow.finish(run) == "success"
    assert airflow.task(run)["try_number"] > 1


def test_a_deleted_task_pod_is_logged_and_retried(airflow: Airflow) -> None:
    airflow.deploy("deleted", SLOW, retries=1)
    run = airflow.start("deleted")
    eventually("the task to run", lambda: _begun(airflow, run, "deleted"))
    (pod,) = airflow.task_pods("deleted")
    name = pod["metadata"]["name"]
    airflow.kubectl("delete", "pod", "--namespace=metaflow", name, "--grace-period=0", "--force")
    assert airflow.finish(run) == "success"
    assert airflow.task(run)["try_number"] == 2
    assert name in airflow.log(run, attempt=1)


def test_a_run_survives_a_killed_and_a_stopped_postgres_and_logs_a_killed_web_server(
    airflow: Airflow, finished: Finished
) -> None:
    airflow.deploy("patient", SLOW, retries=3)
    run = airflow.start("patient")
    eventually("the task to run", lambda: _begun(airflow, run, "patient"))
    airflow.kill("postgres", namespace="postgres")
    airflow.kill("webserver")
    eventually("Airflow to be healthy again", airflow.answers, timeout=180)
    assert "remember-me" in airflow.log(finished.run)
    _stop_postgres(airflow)
    assert airflow.finish(run) == "success"


def _stop_postgres(airflow: Airflow) -> None:
    """Delete Postgres' pod; check that it has shut down cleanly."""
    airflow.kubectl("delete", "pod", "--namespace=postgres", "--all")
    condition = ("--for=condition=Available", "deployment/postgres", "--timeout=120s")
    airflow.kubectl("wait", "--namespace=postgres", *condition)
    log = airflow.kubectl("logs", "--namespace=postgres", "deployment/postgres")
    assert "database system was shut down at" in log
    assert "not properly shut down" not in log
    eventually("Airflow to be healthy again", airflow.answers, timeout=180)


def test_a_hung_scheduler_is_restarted(airflow: Airflow) -> None:
    pod = airflow.pod("scheduler")
    # All but the container's first process, which ignores signals.
    stop = "for each in /proc/[0-9]*; do n=${each#/proc/}; [ $n -gt 1 ] && [ $n != $$ ] && "
    airflow.kubectl("exec", pod, "--", "sh", "-c", f"{stop} kill -STOP $n; done; true")
    count = "jsonpath={.status.containerStatuses[0].restartCount}"
    eventually(
        "the scheduler to be restarted",
        lambda: airflow.kubectl("get", "pod", pod, f"-o{count}") != "0",
        timeout=240,
    )


def test_dags_history_and_logs_survive_a_restart_of_the_node(
    airflow: Airflow, stack: Devstack, finished: Finished
) -> None:
    node(stack).restart()
    stack.run("up")
    eventually("Airflow to be healthy", airflow.answers, timeout=180)
    finished.check()


def test_the_api_and_the_ui_require_a_login(airflow: Airflow) -> None:
    assert requests.get(f"{airflow.url}/api/v1/dags", timeout=10).status_code in (401, 403)
    page = requests.get(f"{airflow.url}/home", timeout=10)
    assert "/login/" in page.url


def test_the_fernet_key_is_the_stacks(airflow: Airflow) -> None:
    script = 'printf "%s" "$AIRFLOW__CORE__FERNET_KEY"'
    key = airflow.kubectl("exec", airflow.pod("scheduler"), "--", "sh", "-c", script)
    assert key == airflow.state["credentials"]["airflow_fernet_key"] + "="


def test_a_database_accepts_only_its_own_user(airflow: Airflow) -> None:
    program = (
        "import os, psycopg2; url = os.environ['AIRFLOW__DATABASE__SQL_ALCHEMY_CONN']"
        ".replace('+psycopg2', '').rsplit('/', 1)[0]\n"
        "try: psycopg2.connect(url + '/metadata'); print('open')\n"
        "except psycopg2.OperationalError as error: print(error)"
    )
    detail = airflow.kubectl("exec", airflow.pod("scheduler"), "--", "python3", "-c", program)
    assert "permission denied for database" in detail


def test_airflow_is_disabled_and_returns_to_its_data_with_another_executor_and_settings(
    airflow: Airflow, stack: Devstack, finished: Finished, tmp_path: Path
) -> None:
    settings, plain = tmp_path / "devstack.toml", tmp_path / "plain.toml"
    settings.write_text(
        '[airflow]\nexecutor = "KubernetesExecutor"\n[airflow.config.core]\nparallelism = 3\n'
    )
    plain.write_text("[airflow]\n")
    stack.run("up", "--without", "airflow")
    try:
        names = {each["name"] for each in stack.json("status")["data"]["services"]}
        assert "airflow" not in names
        assert "postgres" in names
        assert "No resources" not in airflow.kubectl("get", "pvc")
        assert stack.json("up")["data"]["changed"] == []
    finally:
        stack.run("up", "--with", "airflow", "--config", str(settings))
    try:
        assert airflow.state_of(finished.run) == "success"
        _check_kubernetes_executor(airflow)
    finally:
        stack.run("up", "--config", str(plain))
    assert airflow.finish(airflow.start("by-worker")) == "success"


def _check_kubernetes_executor(airflow: Airflow) -> None:
    """Check the setting, and that a task runs in a worker pod."""
    argv = ("python3", "-m", "airflow", "config", "get-value", "core", "parallelism")
    assert "3" in airflow.kubectl("exec", airflow.pod("scheduler"), "--", *argv)
    airflow.deploy("by-worker", f"echo remember-me; {RESULT}")
    run = airflow.start("by-worker")
    eventually(
        "a worker pod",
        lambda: "by-worker" in airflow.kubectl("get", "pods", "-lcomponent=worker"),
    )
    assert airflow.finish(run) == "success"
    assert "42" in str(airflow.result(run))
    assert "remember-me" in airflow.log(run)


def test_down_keeps_dags_history_logs_and_passwords_on_request(
    airflow: Airflow, stack: Devstack, finished: Finished
) -> None:
    before = airflow.state
    stack.run("down", "--keep-data")
    assert stack.json("status", check=False)["data"]["state"] == "retained"
    stack.run("up", "--timeout", "600")
    assert airflow.state["credentials"] == before["credentials"]
    finished.check()
    assert not (stack.directory / "volumes").exists()


def test_up_with_nothing_to_do_writes_nothing(airflow: Airflow, stack: Devstack) -> None:
    began = time.monotonic()
    assert stack.json("up")["data"]["changed"] == []
    assert time.monotonic() - began < 30
