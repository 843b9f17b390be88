"""All samples on Celery workers; a killed broker; other numbers of workers; other executors."""

from __future__ import annotations

from typing import Any

import pytest

from devstack.samples.catalogue import DAG_SAMPLES
from tests.airflow.airflow_stack import Airflow
from tests.celery.conftest import Configure
from tests.celery.counted import deploy_counted, executions, instances, running_on
from tests.celery.workers import workers
from tests.support.commandline import Devstack
from tests.support.eventually import eventually


@pytest.fixture(scope="module")
def ran(stack: Devstack) -> dict[str, Any]:
    """Return what `devstack run --airflow` reports on all samples, by name."""
    return stack.samples("--airflow")


@pytest.mark.parametrize("name", [sample.name for sample in DAG_SAMPLES])
def test_a_sample_succeeds(ran: dict[str, Any], name: str) -> None:
    sample = ran[name]
    assert sample["ok"], sample["wrong"] or sample["error"]
    assert {task["state"] for task in sample["tasks"]} == {"success"}


def test_a_run_survives_a_killed_broker(airflow: Airflow) -> None:
    deploy_counted(airflow, "brokered", 24, 4, retries=2)
    run = airflow.start("brokered")
    eventually("tasks to run", lambda: running_on(airflow, run).total() >= 4)
    airflow.kill("rabbitmq", namespace="rabbitmq")
    assert airflow.finish(run) == "success"
    assert executions(airflow, run) == dict.fromkeys(range(24), 1)


@pytest.mark.usefixtures("three_workers")
def test_workers_that_are_removed_finish_their_tasks(airflow: Airflow, stack: Devstack) -> None:
    deploy_counted(airflow, "shrunk", 24, 10)
    run = airflow.start("shrunk")
    eventually("all workers to work", lambda: len(running_on(airflow, run)) == 3, timeout=60)
    stack.run("airflow", "scale", "1")
    assert airflow.finish(run) == "success"
    assert executions(airflow, run) == dict.fromkeys(range(24), 1)
    assert {task["try_number"] for task in instances(airflow, run)} == {1}
    eventually("two workers to go", lambda: workers(airflow) == ["airflow-worker-0"], timeout=60)


def test_the_number_of_workers_follows_the_queue(airflow: Airflow, configure: Configure) -> None:
    configure('executor = "CeleryExecutor"\nworkers = {min = 0, max = 2}\n')
    eventually("no worker", lambda: not workers(airflow), timeout=180)
    deploy_counted(airflow, "scaled", 6, 5)
    run = airflow.start("scaled")
    eventually("a worker", lambda: workers(airflow), timeout=60)
    assert airflow.finish(run) == "success"
    assert executions(airflow, run) == dict.fromkeys(range(6), 1)
    eventually("the workers to go again", lambda: not workers(airflow), timeout=240)


def test_a_killed_scheduler_is_replaced_by_the_other_one(
    airflow: Airflow, configure: Configure
) -> None:
    configure('executor = "CeleryExecutor"\nworkers = 2\nschedulers = 2\n')
    # The DAG's file is written by way of a scheduler's pod.
    pods = airflow.kubectl("get", "pods", "-lcomponent=scheduler", "-oname").split()
    assert len(pods) == 2
    airflow.pod = lambda part: pods[0].partition("/")[2]  # type: ignore[method-assign]
    deploy_counted(airflow, "twofold", 24, 3)
    run = airflow.start("twofold")
    eventually("tasks to run", lambda: running_on(airflow, run).total() >= 4)
    airflow.kubectl("delete", pods[0], "--force", "--grace-period=0")
    assert airflow.finish(run) == "success"
    assert executions(airflow, run) == dict.fromkeys(range(24), 1)


@pytest.mark.parametrize(
    "executor",
    ["KubernetesExecutor", "CeleryKubernetesExecutor", "LocalExecutor,CeleryExecutor"],
)
def test_a_sample_succeeds_on_every_other_executor(
    stack: Devstack, configure: Configure, executor: str
) -> None:
    configure(f'executor = "{executor}"\n')
    sample = stack.samples("--airflow", "linear")["linear"]
    assert sample["ok"], sample["wrong"] or sample["error"]


BOTH = """\
from datetime import datetime
from airflow import DAG
from airflow.operators.python import PythonOperator

with DAG("both", start_date=datetime(2026, 1, 1), schedule=None, is_paused_upon_creation=False):
    worker = PythonOperator(task_id="worker", python_callable=print)
    pod = PythonOperator(task_id="pod", python_callable=print, queue="kubernetes")
    worker >> pod
"""


def test_one_dag_uses_workers_and_pods(airflow: Airflow, configure: Configure) -> None:
    configure('executor = "CeleryKubernetesExecutor"\nworkers = 1\n')
    airflow.write("both", BOTH)
    airflow.await_dag("both")
    run = airflow.start("both")
    assert airflow.finish(run) == "success"
    hosts = {task["task_id"]: task["hostname"] for task in instances(airflow, run)}
    assert hosts["worker"].startswith("airflow-worker-0.")
    assert hosts["pod"].startswith("both-pod-")


def test_workers_finish_their_tasks_before_another_executor_replaces_them(
    airflow: Airflow, configure: Configure
) -> None:
    deploy_counted(airflow, "finished", 8, 30)
    run = airflow.start("finished")
    eventually("all slots to be used", lambda: running_on(airflow, run).total() == 8, timeout=90)
    configure('executor = "LocalExecutor"\n')
    assert not workers(airflow)
    assert airflow.finish(run) == "success"
    assert executions(airflow, run) == dict.fromkeys(range(8), 1)


def test_dags_and_history_survive_a_change_of_the_executor_and_of_the_broker(
    airflow: Airflow, configure: Configure
) -> None:
    deploy_counted(airflow, "kept", 2)
    before = airflow.start("kept")
    assert airflow.finish(before) == "success"
    for table in (
        'executor = "CeleryExecutor"\nbroker = "redis"\n',
        'executor = "LocalExecutor"\n',
        'executor = "LocalExecutor,CeleryExecutor"\n',
    ):
        configure(table)
        assert airflow.state_of(before) == "success"
        assert airflow.finish(airflow.start("kept")) == "success"
