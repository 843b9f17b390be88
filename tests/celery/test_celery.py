"""CeleryExecutor: logs, Flower, and what the loss of a worker costs."""

from __future__ import annotations

import requests

from tests.airflow.airflow_stack import Airflow
from tests.celery.counted import deploy_counted, executions, instances, running_on
from tests.celery.workers import kill_processes, workers
from tests.support.commandline import Devstack
from tests.support.eventually import eventually


def test_a_worker_serves_the_logs_of_its_tasks_to_the_web_server_only(airflow: Airflow) -> None:
    deploy_counted(airflow, "logged", 1, 40)
    run = airflow.start("logged")
    eventually("the task to run", lambda: running_on(airflow, run))
    (task,) = instances(airflow, run)
    address = f"http://{task['hostname']}:8793/log/"

    def log() -> str:
        return airflow.log(run, map_index=0)

    # What runs now is on the worker only.
    eventually("the log", lambda: address in log() and "Executing" in log(), timeout=15)
    program = (
        "import urllib.request as r, urllib.error as e\n"
        f"try: print(r.urlopen('{address}x').status)\nexcept e.HTTPError as x: print(x.code)"
    )
    in_scheduler = ("exec", airflow.pod("scheduler"), "--", "python3", "-c")
    assert airflow.kubectl(*in_scheduler, program).strip() == "403"
    assert airflow.finish(run) == "success"


def test_the_task_that_a_worker_executes_at_its_start_leaves_nothing(airflow: Airflow) -> None:
    pod = workers(airflow)[0]
    # The worker logs a warning if the task failed.
    assert "longer to start" not in airflow.kubectl("logs", pod)
    assert "warm_up" not in airflow.kubectl("logs", pod)
    assert airflow.kubectl("exec", pod, "--", "find", "/worker-logs", "-name", "*warm_up*") == ""
    tables = ("dag", "dag_run", "task_instance", "log", "job", "xcom")
    program = (
        "from airflow import settings; from sqlalchemy import text\n"
        f"for table in {tables!r}: print(settings.Session().execute("
        "text(f\"select count(*) from {table} where dag_id like 'warm_up%'\")).scalar())"
    )
    assert airflow.kubectl("exec", pod, "--", "python3", "-c", program).split() == ["0"] * 6


def test_flower_lists_the_workers_to_those_who_have_the_password(
    airflow: Airflow, stack: Devstack
) -> None:
    status = stack.json("status", "--secrets")["data"]
    url = f"{status['urls']['flower']}/api/workers?refresh=true"
    assert requests.get(url, timeout=30).status_code == 401
    login = (status["secrets"]["flower-user"], status["secrets"]["flower-password"])
    found = requests.get(url, auth=login, timeout=30).json()
    hosts = sorted(name.partition("@")[2].partition(".")[0] for name in found)
    assert hosts == sorted(workers(airflow))
    opened = stack.run("airflow", "open", "flower", "--no-browser").stdout
    assert status["urls"]["flower"] in opened


def test_a_worker_that_is_killed_costs_its_tasks_one_attempt(airflow: Airflow) -> None:
    deploy_counted(airflow, "killed", 8, 30, retries=1)
    run = airflow.start("killed")
    eventually("all slots to be used", lambda: running_on(airflow, run).total() == 8, timeout=90)
    victim = workers(airflow)[0]
    lost = {
        task["map_index"]
        for task in instances(airflow, run)
        if task["hostname"].startswith(f"{victim}.")
    }
    kill_processes(airflow, victim)
    assert airflow.finish(run) == "success"
    expected = {number: 2 if number in lost else 1 for number in range(8)}
    assert executions(airflow, run) == expected
