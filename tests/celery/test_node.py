"""A node with a Celery worker is interrupted during a run; a stack of its own has two nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.airflow.airflow_stack import Airflow
from tests.celery.counted import deploy_counted, executions, instances, running_on
from tests.support.cluster import node
from tests.support.commandline import Devstack
from tests.support.eventually import eventually

TASKS = 8
MOVED = "airflow-worker-1"


@pytest.fixture
def two_nodes(tmp_path: Path, settings: Path) -> Iterator[Devstack]:
    """A stack with two nodes, on each of which a worker can run."""
    devstack = Devstack("celery-nodes", tmp_path)
    with devstack.brought_up("--config", str(settings), "--nodes", "2"):
        yield devstack


def move_to(airflow: Airflow, pod: str, target: str, other: str) -> None:
    """Let a pod of a StatefulSet run on a node, of two."""
    airflow.kubectl("cordon", other)
    airflow.kubectl("delete", "pod", pod)
    jsonpath = "-ojsonpath={.spec.nodeName} {.status.conditions[?(@.type=='Ready')].status}"

    def moved() -> bool:
        return (
            airflow.kubectl("get", "pod", pod, "--ignore-not-found", jsonpath) == f"{target} True"
        )

    eventually(f"{pod} to run on {target}", moved, timeout=180)
    airflow.kubectl("uncordon", other)


def test_the_interruption_of_a_workers_node_costs_its_tasks_one_attempt(
    two_nodes: Devstack,
) -> None:
    airflow = Airflow(two_nodes)
    container = node(two_nodes, "worker")
    move_to(airflow, MOVED, container.name, node(two_nodes).name)
    deploy_counted(airflow, "node", TASKS, 20, retries=1)
    run = airflow.start("node")
    eventually("all slots to be used", lambda: running_on(airflow, run).total() == TASKS)
    lost = {
        task["map_index"]
        for task in instances(airflow, run)
        if task["hostname"].startswith(f"{MOVED}.")
    }
    assert lost
    container.kill()
    assert airflow.finish(run) == "success"
    expected = {number: 2 if number in lost else 1 for number in range(TASKS)}
    assert {task["map_index"]: task["try_number"] for task in instances(airflow, run)} == expected
    assert executions(airflow, run) == expected
    two_nodes.run("up", timeout=600)
    assert two_nodes.json("status")["data"]["state"] == "up"
