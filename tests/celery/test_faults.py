"""Faults and load with CeleryExecutor: nothing is lost, and nothing runs twice unnoticed."""

from __future__ import annotations

import pytest

from devstack.samples.catalogue import FOLDER
from tests.airflow import flows_on_airflow
from tests.airflow.airflow_stack import Airflow
from tests.celery.conftest import Configure
from tests.celery.counted import deploy_counted, executions, instances, running_on
from tests.celery.workers import kill_processes, workers
from tests.support.cluster import node
from tests.support.commandline import Devstack
from tests.support.eventually import eventually

TASKS = 24
RUNS = 20
RUNS_SECONDS = 2400.0


def start_counted(airflow: Airflow, dag_id: str) -> str:
    """Start a run of tasks of 4 seconds with retries, and wait until some of them run."""
    deploy_counted(airflow, dag_id, TASKS, 4, retries=2)
    run = airflow.start(dag_id)
    eventually("tasks to run", lambda: running_on(airflow, run).total() >= 4)
    return run


def attempts(airflow: Airflow, run: str) -> dict[int, int]:
    """Return how many attempts Airflow has counted of each task."""
    return {task["map_index"]: task["try_number"] for task in instances(airflow, run)}


def test_a_run_survives_a_killed_database(airflow: Airflow) -> None:
    run = start_counted(airflow, "databased")
    airflow.kill("postgres", namespace="postgres")
    eventually("Airflow to be healthy", airflow.answers, timeout=180)
    assert airflow.finish(run) == "success"
    # A task that cannot write its record, or its end, fails, and is retried.
    executed, counted = executions(airflow, run), attempts(airflow, run)
    assert set(executed) == set(counted) == set(range(TASKS))
    assert {number for number in executed if executed[number] > counted[number]} == set()


def test_the_loss_of_all_workers_costs_their_tasks_one_attempt(airflow: Airflow) -> None:
    deploy_counted(airflow, "interrupted", 8, 30, retries=1)
    run = airflow.start("interrupted")
    eventually("all slots to be used", lambda: running_on(airflow, run).total() == 8, timeout=90)
    for worker in workers(airflow):
        kill_processes(airflow, worker)
    assert airflow.finish(run) == "success"
    assert executions(airflow, run) == dict.fromkeys(range(8), 2)
    assert attempts(airflow, run) == dict.fromkeys(range(8), 2)


def test_a_run_survives_the_interruption_of_the_workers_node(
    airflow: Airflow, stack: Devstack
) -> None:
    # Workers run where the other services do, so these end, too.
    run = start_counted(airflow, "rebooted")
    node(stack).kill()
    stack.run("up", "--timeout", "600", timeout=900)
    eventually("Airflow to be healthy", airflow.answers, timeout=180)
    assert airflow.finish(run) == "success"
    executed, counted = executions(airflow, run), attempts(airflow, run)
    assert set(executed) == set(counted) == set(range(TASKS))
    assert {number for number in executed if executed[number] > counted[number]} == set()


@pytest.mark.usefixtures("three_workers")
def test_each_of_many_tasks_is_executed_once(airflow: Airflow) -> None:
    deploy_counted(airflow, "many", 200)
    run = airflow.start("many")
    assert airflow.finish(run) == "success"
    assert executions(airflow, run) == dict.fromkeys(range(200), 1)
    assert attempts(airflow, run) == dict.fromkeys(range(200), 1)
    hosts = {task["hostname"].partition(".")[0] for task in instances(airflow, run)}
    assert hosts == set(workers(airflow))


def test_concurrent_runs_of_a_foreach_all_succeed(airflow: Airflow, stack: Devstack) -> None:
    flows_on_airflow.deploy(stack, FOLDER / "fanout.py")
    trigger = ("trigger", "FanoutFlow")
    started = [flows_on_airflow.airflow(stack, *trigger)["data"] for _ in range(RUNS)]
    runs = [f"dags/FanoutFlow/dagRuns/{run['dag_run_id']}" for run in started]
    assert len(set(runs)) == RUNS

    def all_ended() -> bool:
        states = [airflow.state_of(run) for run in runs]
        assert "failed" not in states
        return set(states) == {"success"}

    eventually("all runs to succeed", all_ended, timeout=RUNS_SECONDS, interval=5)
    for run in started:
        found = flows_on_airflow.artifacts(stack, "FanoutFlow", run, "total", "squares")
        assert found == [14, [1, 4, 9]]


def test_a_run_survives_a_killed_redis(airflow: Airflow, configure: Configure) -> None:
    configure('executor = "CeleryExecutor"\nbroker = "redis"\nworkers = 2\n')
    run = start_counted(airflow, "buffered")
    airflow.kill("redis", namespace="redis")
    assert airflow.finish(run) == "success"
    assert executions(airflow, run) == dict.fromkeys(range(TASKS), 1)
    assert attempts(airflow, run) == dict.fromkeys(range(TASKS), 1)
