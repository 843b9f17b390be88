"""One file is deployed to Airflow, Argo and Kubeflow Pipelines, runs there, and leaves nothing.

The stack of this folder has no Airflow, which takes CPU that the other tests need: it is added
for these tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import pytest
import requests

from tests.airflow.airflow_stack import Airflow
from tests.airflow.metaflow_client import run_client
from tests.kubeflow.flows_on_kubeflow import FLOWS, KubeflowStack
from tests.support.engines import WORKFLOW, call_engine, run_to_end
from tests.support.eventually import eventually

FILE = FLOWS / "everywhere.py"
FLOW = "EverywhereFlow"
ENGINES = {"airflow": "success", "kubeflow": "succeeded", "argo": "succeeded"}
"""The engines, with the state of a run that succeeded."""

TEXT = 'it\'s "quoted" $HOME $(date) $$ `id` \\ Zürich'
YEARLY = "0 0 1 1 *"
TOKENS = """
import boto3
listed = boto3.client("s3").list_objects_v2(Bucket="metaflow", Prefix="metaflow/mf.airflow/")
found = [each["Key"].rpartition("/")[2] for each in listed.get("Contents", [])]
"""


@pytest.fixture(scope="module")
def airflow(stack: KubeflowStack) -> Iterator[Airflow]:
    """The stack's Airflow, which is removed afterwards."""
    stack.devstack.leave_out("metrics-server")
    stack.devstack.run("up", "--with", "airflow", "--timeout", "600", timeout=3600)
    try:
        yield Airflow(stack.devstack)
    finally:
        stack.devstack.leave_out("airflow", "metrics-server")
        stack.devstack.run("up", timeout=3600)


@pytest.fixture(scope="module")
def deployed(stack: KubeflowStack, airflow: Airflow) -> Iterator[None]:
    """The flow with a schedule on all engines."""
    for engine in ENGINES:
        options = ("--python", str(stack.python)) if engine == "kubeflow" else ()
        argv = ("deploy", str(FILE), "--schedule", YEARLY, *options)
        call_engine(stack.devstack, engine, *argv)
    yield
    for engine in ENGINES:
        stack.devstack.run(engine, "delete", "--force", FLOW, check=False)


@pytest.fixture(scope="module")
def runs(stack: KubeflowStack, deployed: None) -> dict[str, dict[str, Any]]:
    """A run on each engine, all at the same time."""
    values = ("--param", "count=2", "--param", f"text={TEXT}")

    def run(engine: str) -> dict[str, Any]:
        ended: dict[str, Any] = run_to_end(stack.devstack, engine, FLOW, *values)["data"]
        return ended

    with ThreadPoolExecutor(len(ENGINES)) as pool:
        return dict(zip(ENGINES, pool.map(run, ENGINES), strict=True))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_results_are_the_same_on_every_engine(
    stack: KubeflowStack, runs: dict[str, dict[str, Any]], engine: str
) -> None:
    run = runs[engine]
    assert run["state"] == ENGINES[engine]
    program = f"""
run = Run("{FLOW}/{run["metaflow_run_id"]}")
data = run["end"].task.data
found = [run.successful, data.results, data.seen, run["join"].task.data.colour]
found.append(len(list(run["double"].tasks())))
"""
    assert run_client(stack.devstack, program) == [True, [0, 2], TEXT, "green", 2]


@pytest.mark.parametrize("engine", ENGINES)
def test_each_engine_has_its_own_run_only(
    stack: KubeflowStack, runs: dict[str, dict[str, Any]], engine: str
) -> None:
    found = call_engine(stack.devstack, engine, "runs", FLOW)["data"]["runs"]
    assert [each["metaflow_run_id"] for each in found] == [runs[engine]["metaflow_run_id"]]


@pytest.mark.usefixtures("runs")
def test_what_is_deleted_from_one_engine_stays_on_the_others_until_nothing_is_left(
    stack: KubeflowStack, airflow: Airflow
) -> None:
    def left(engine: str) -> list[Any]:
        if engine == "airflow":
            return left_on_airflow(airflow)
        return left_on_kubeflow(stack) if engine == "kubeflow" else left_on_argo(stack)

    # Argo comes last, because what is left on it includes the workflows of pipelines.
    for engine in ENGINES:
        assert left(engine), engine
        call_engine(stack.devstack, engine, "delete", FLOW)
        # Kubernetes lets go of what a schedule owned, and deletes what a workflow owned, later.
        eventually(f"nothing to be left on {engine}", lambda name=engine: not left(name))


def left_on_airflow(airflow: Airflow) -> list[Any]:
    """Return the flow's DAG, its file, its production token and its pods, as far as they exist."""
    files = airflow.kubectl("exec", airflow.pod("scheduler"), "--", "ls", "/airflow/dags")
    dag = airflow.request("GET", f"dags/{FLOW}")
    return [
        *([dag.text] if dag.status_code != HTTPStatus.NOT_FOUND else []),
        *(name for name in files.split() if name.startswith(FLOW)),
        *(name for name in run_client(airflow.stack, TOKENS) if name == FLOW),
        *airflow.task_pods(FLOW),
    ]


def left_on_kubeflow(stack: KubeflowStack) -> list[Any]:
    """Return the pipelines, their runs and schedules, and the workflows of runs."""
    status = stack.devstack.json("status", "--secrets")["data"]
    login = {"Authorization": f"Bearer {status['secrets']['kubeflow-token']}"}
    found = stack.objects("workflows", "--selector=pipeline/runid")
    for field in ("pipelines", "runs", "recurringRuns"):
        url = f"{status['urls']['kubeflow']}/apis/v2beta1/{field.lower()}"
        found += requests.get(url, headers=login, timeout=30).json()[field]
    return found


def left_on_argo(stack: KubeflowStack) -> list[Any]:
    """Return everything of Argo in the task namespace."""
    kinds = ("workflowtemplates", "cronworkflows", "workflows", "workflowtaskresults")
    found = [each for kind in kinds for each in stack.objects(kind)]
    return [*found, *stack.objects("pods", f"--selector={WORKFLOW}")]
