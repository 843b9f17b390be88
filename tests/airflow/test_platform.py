"""Airflow as a platform: what it is given, what can happen to it, what it keeps."""

from __future__ import annotations

import time
from collections.abc import Iterator
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
    """Airflow, well before and after each test."""
    found = Airflow(stack)
    eventually("Airflow to be well", found.answers)
    yield found
    eventually("Airflow to be well again", found.answers, timeout=180)
    eventually("the stack to be up", lambda: _is_up(stack), timeout=180)


def _is_up(stack: Devstack) -> bool:
    return bool(stack.json("status", check=False)["data"]["state"] == "up")


def _deployed_and_run(airflow: Airflow, dag_id: str, script: str) -> str:
    """Deploy a DAG, run it, see it succeed; return the run."""
    airflow.deploy(dag_id, script)
    run = airflow.start(dag_id)
    assert airflow.finish(run) == "success"
    return run


def _begun(airflow: Airflow, run: str, dag_id: str) -> bool:
    pods = airflow.task_pods(dag_id)
    return bool(pods) and pods[0]["status"]["phase"] == "Running"


def test_a_task_hands_over_its_result_by_a_sidecar_that_is_never_pulled(airflow: Airflow) -> None:
    run = _deployed_and_run(airflow, "handover", RESULT)
    assert "42" in str(airflow.result(run))
    eventually("the pod to go", lambda: not airflow.task_pods("handover"))


def test_a_file_replaced_within_the_second_at_its_old_size_is_read_anew(airflow: Airflow) -> None:
    """Python's bytecode would tell the two apart by second and size, and so not at all."""
    airflow.deploy("replaced", RESULT.replace("42", "11"))
    airflow.deploy("replaced", RESULT.replace("42", "77"))
    eventually("the second file", lambda: "77" in _source(airflow, "replaced"), timeout=30)


def _source(airflow: Airflow, dag_id: str) -> str:
    token = airflow.get(f"dags/{dag_id}")["file_token"]
    return airflow.ask("GET", f"dagSources/{token}").text


def test_a_broken_file_is_told_with_its_traceback_and_harms_no_other(
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
        (told,) = [each["detail"] for each in services if each["name"] == "airflow"]
        assert "1 import error: broken.py" in told
        airflow.deploy("beside", RESULT)
        assert airflow.finish(airflow.start("beside")) == "success"
    finally:
        airflow.kubectl("exec", airflow.pod("scheduler"), "--", "rm", "/airflow/dags/broken.py")
    eventually("the error to go", lambda: airflow.get("importErrors")["total_entries"] == 0)


def test_a_run_goes_on_where_the_scheduler_is_killed(airflow: Airflow) -> None:
    airflow.deploy("survivor", SLOW, retries=2)
    run = airflow.start("survivor")
    eventually("the task to run", lambda: _begun(airflow, run, "survivor"))
    airflow.kill("scheduler")
    assert airflow.finish(run) == "success"
    assert airflow.task(run)["try_number"] > 1


def test_a_task_pod_that_somebody_deletes_is_told_and_run_again(airflow: Airflow) -> None:
    airflow.deploy("deleted", SLOW, retries=1)
    run = airflow.start("deleted")
    eventually("the task to run", lambda: _begun(airflow, run, "deleted"))
    (pod,) = airflow.task_pods("deleted")
    name = pod["metadata"]["name"]
    airflow.kubectl("delete", "pod", "--namespace=metaflow", name, "--grace-period=0", "--force")
    assert airflow.finish(run) == "success"
    assert airflow.task(run)["try_number"] == 2
    assert name in airflow.log(run, attempt=1)


def test_logs_outlive_pods_and_the_web_server(airflow: Airflow) -> None:
    run = _deployed_and_run(airflow, "talker", f"echo remember-me; {RESULT}")
    airflow.kill("webserver")
    eventually("the web page", airflow.answers, timeout=120)
    assert "remember-me" in airflow.log(run)


def test_a_run_goes_on_where_postgres_is_killed(airflow: Airflow) -> None:
    airflow.deploy("patient", SLOW, retries=3)
    run = airflow.start("patient")
    eventually("the task to run", lambda: _begun(airflow, run, "patient"))
    airflow.kill("postgres", namespace="postgres")
    eventually("Airflow to be well again", airflow.answers, timeout=180)
    assert airflow.finish(run) == "success"


def test_postgres_stops_in_good_order_when_told_to(airflow: Airflow) -> None:
    airflow.kubectl("delete", "pod", "--namespace=postgres", "--all")
    words = ("wait", "--namespace=postgres", "--for=condition=Available", "deployment/postgres")
    airflow.kubectl(*words, "--timeout=120s")
    log = airflow.kubectl("logs", "--namespace=postgres", "deployment/postgres")
    assert "database system was shut down at" in log
    assert "not properly shut down" not in log


def test_a_scheduler_that_hangs_is_started_again(airflow: Airflow) -> None:
    pod = airflow.pod("scheduler")
    # All but the first process, which is the container's and starts no other.
    stop = "for each in /proc/[0-9]*; do n=${each#/proc/}; [ $n -gt 1 ] && [ $n != $$ ] && "
    airflow.kubectl("exec", pod, "--", "sh", "-c", f"{stop} kill -STOP $n; done; true")
    count = "jsonpath={.status.containerStatuses[0].restartCount}"
    eventually(
        "the scheduler to be started again",
        lambda: airflow.kubectl("get", "pod", pod, f"-o{count}") != "0",
        timeout=240,
    )


def test_the_node_restarts_and_dags_history_and_logs_are_there(
    airflow: Airflow, stack: Devstack
) -> None:
    run = _deployed_and_run(airflow, "lasting", f"echo remember-me; {RESULT}")
    node(stack).restart()
    stack.run("up")
    eventually("Airflow to be well", airflow.answers, timeout=180)
    assert airflow.state_of(run) == "success"
    assert "remember-me" in airflow.log(run)
    assert airflow.finish(airflow.start("lasting")) == "success"


def test_only_those_who_log_in_see_anything(airflow: Airflow) -> None:
    assert requests.get(f"{airflow.url}/api/v1/dags", timeout=10).status_code in (401, 403)
    page = requests.get(f"{airflow.url}/home", timeout=10)
    assert "/login/" in page.url


def test_the_keys_are_this_stacks_own(airflow: Airflow) -> None:
    script = 'printf "%s" "$AIRFLOW__CORE__FERNET_KEY"'
    key = airflow.kubectl("exec", airflow.pod("scheduler"), "--", "sh", "-c", script)
    assert key == airflow.state["credentials"]["airflow_fernet_key"] + "="


def test_each_database_is_for_its_own_user(airflow: Airflow) -> None:
    program = (
        "import os, psycopg2; url = os.environ['AIRFLOW__DATABASE__SQL_ALCHEMY_CONN']"
        ".replace('+psycopg2', '').rsplit('/', 1)[0]\n"
        "try: psycopg2.connect(url + '/metadata'); print('open')\n"
        "except psycopg2.OperationalError as error: print(error)"
    )
    told = airflow.kubectl("exec", airflow.pod("scheduler"), "--", "python3", "-c", program)
    assert "permission denied for database" in told


def test_the_users_settings_and_executor_are_taken_and_given_back(
    airflow: Airflow, stack: Devstack, tmp_path: Path
) -> None:
    settings = tmp_path / "devstack.toml"
    settings.write_text(
        '[airflow]\nexecutor = "KubernetesExecutor"\n[airflow.config.core]\nparallelism = 3\n'
    )
    plain = tmp_path / "plain.toml"
    plain.write_text("[airflow]\n")
    stack.run("up", "--config", str(settings))
    try:
        words = ("python3", "-m", "airflow", "config", "get-value", "core")
        scheduler = airflow.pod("scheduler")
        assert "3" in airflow.kubectl("exec", scheduler, "--", *words, "parallelism")
        airflow.deploy("by-worker", f"echo remember-me; {RESULT}")
        run = airflow.start("by-worker")
        eventually(
            "a worker pod",
            lambda: "by-worker" in airflow.kubectl("get", "pods", "-lcomponent=worker"),
        )
        assert airflow.finish(run) == "success"
        assert "42" in str(airflow.result(run))
        assert "remember-me" in airflow.log(run)
    finally:
        stack.run("up", "--config", str(plain))
    assert airflow.finish(airflow.start("by-worker")) == "success"


def test_airflow_is_left_out_and_comes_back_to_its_data(airflow: Airflow, stack: Devstack) -> None:
    run = _deployed_and_run(airflow, "returning", RESULT)
    stack.run("up", "--without", "airflow")
    try:
        names = {each["name"] for each in stack.json("status")["data"]["services"]}
        assert "airflow" not in names
        assert "postgres" in names
        assert "No resources" not in airflow.kubectl("get", "pvc")
        assert stack.json("up")["data"]["changed"] == []
    finally:
        stack.run("up", "--with", "airflow")
    assert airflow.state_of(run) == "success"


def test_down_keeps_dags_history_logs_and_passwords_where_asked(
    airflow: Airflow, stack: Devstack
) -> None:
    run = _deployed_and_run(airflow, "kept", f"echo remember-me; {RESULT}")
    before = airflow.state
    stack.run("down", "--keep-data")
    assert stack.json("status", check=False)["data"]["state"] == "retained"
    stack.run("up", "--timeout", "600")
    assert airflow.state["credentials"] == before["credentials"]
    assert airflow.state_of(run) == "success"
    assert "remember-me" in airflow.log(run)
    assert airflow.finish(airflow.start("kept")) == "success"
    assert not (stack.directory / "volumes").exists()


def test_up_with_nothing_to_do_writes_nothing(airflow: Airflow, stack: Devstack) -> None:
    began = time.monotonic()
    assert stack.json("up")["data"]["changed"] == []
    assert time.monotonic() - began < 30
