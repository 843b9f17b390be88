"""Measures Airflow's times and memory on a stack, with kind alone in the same run."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from devstack.airflow.client import AirflowClient
from scripts.benchmarks.figures import Figure, parse_arguments, report, seconds_between
from scripts.benchmarks.pod_memory import idle_memory, pod_memory
from scripts.benchmarks.stack import kind_alone
from scripts.benchmarks.timing import time_command
from tests.airflow.airflow_stack import Airflow
from tests.support.commandline import Devstack

STACK = "bench-airflow"
TASKS = 4
TRIVIAL = 'mkdir -p /airflow/xcom && echo "{}" >/airflow/xcom/return.json'
NAMESPACES = ("airflow", "postgres")
SIX_PODS = Path(__file__).parents[2] / "devstack" / "samples" / "fanout.py"
"""A flow whose run has six pods."""

DEPLOY = ("airflow", "deploy", str(SIX_PODS))

_FOUR = """\
from datetime import datetime
from airflow import DAG
from airflow.providers.cncf.kubernetes.operators.kubernetes_pod import KubernetesPodOperator

start = datetime(2026, 1, 1)
with DAG("bench-four", start_date=start, schedule=None, is_paused_upon_creation=False):
    for number in range({tasks}):
        KubernetesPodOperator(
            task_id=f"task-{{number}}", name="four", namespace="metaflow", image="{image}",
            cmds=["sleep", "20"], is_delete_operator_pod=True,
        )
"""


def main() -> int:
    """Measure, print a table, write JSON; 1 if a budget is missed."""
    arguments = parse_arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        stack = Devstack(STACK, Path(folder))
        try:
            figures = list(_measure(stack, arguments.runs))
        finally:
            stack.run("down")
    return report(figures, "Airflow, and kind in the same run", arguments.json)


def _measure(stack: Devstack, runs: int) -> Iterator[Figure]:
    yield from _time_up(stack, runs)
    airflow = Airflow(stack)
    password = airflow.state["credentials"]["airflow_admin_password"]
    client = AirflowClient(airflow.url, password)
    yield from _measure_idle_memory(airflow)
    fresh = [_time_new(airflow, client, f"bench-new-{turn}") for turn in range(runs)]
    yield Figure("a new DAG delivered -> parsed", "s", statistics.median(fresh), 4.0)
    changed = [_time_changed(airflow, client, f"changed {turn}") for turn in range(runs)]
    yield Figure("a changed DAG delivered -> parsed", "s", statistics.median(changed), 4.0)
    trivial = [_time_task(airflow) for _ in range(runs)]
    yield Figure("a trivial task, queued -> done", "s", statistics.median(trivial), 6.0)
    yield Figure("devstack airflow deploy, all of it", "s", time_command(stack, *DEPLOY))
    yield Figure("a run of 6 pods", "s", time_runs(airflow, runs), 40.0)
    yield Figure(
        f"all, {TASKS} tasks running", "MiB", _measure_busy_memory(airflow, client), 1229.0
    )


def _time_up(stack: Devstack, runs: int) -> Iterator[Figure]:
    alone, whole = [], []
    stack.run("down")
    for turn in range(runs):
        alone.append(kind_alone()[0])
        began = time.monotonic()
        stack.run("up", "--timeout", "600", timeout=3600)
        whole.append(time.monotonic() - began)
        if turn < runs - 1:
            stack.run("down")
    kind, up = statistics.median(alone), statistics.median(whole)
    yield Figure("kind create cluster (peer)", "s", kind)
    yield Figure("devstack up with Airflow", "s", up)
    yield Figure("devstack up with Airflow beyond kind", "s", up - kind, 25.0)


def _time_new(airflow: Airflow, client: AirflowClient, dag_id: str) -> float:
    airflow.deploy(dag_id, TRIVIAL, parsed=False)
    return _until(f"DAG {dag_id}", lambda: client.find(f"/dags/{dag_id}") is not None)


def _time_changed(airflow: Airflow, client: AirflowClient, note: str) -> float:
    dag_id = "bench-new-0"
    before = client.get(f"/dags/{dag_id}")["last_parsed_time"]
    airflow.deploy(dag_id, TRIVIAL, note=note, parsed=False)
    return _until(
        f"a change of DAG {dag_id}",
        lambda: client.get(f"/dags/{dag_id}")["last_parsed_time"] != before,
    )


def _until(what: str, condition: Callable[[], bool], limit: float = 300.0) -> float:
    """Return the seconds until ``condition`` holds; what was delivered is there by now."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > limit:
            raise SystemExit(f"{what}: not within {limit:.0f} s")
        time.sleep(0.1)
    return time.monotonic() - began


def _time_task(airflow: Airflow) -> float:
    run = airflow.start("bench-new-0")
    if airflow.finish(run) != "success":
        raise SystemExit(airflow.log(run))
    task = airflow.task(run)
    return seconds_between(task["queued_when"], task["end_date"])


def time_runs(airflow: Airflow, runs: int) -> float:
    """Return the median of the seconds that a run of SIX_PODS takes, which is deployed."""
    walls = []
    for _ in range(runs):
        run = airflow.start("FanoutFlow")
        if airflow.finish(run) != "success":
            raise SystemExit(f"{run} failed")
        details = airflow.get(run)
        walls.append(seconds_between(details["start_date"], details["end_date"]))
    return statistics.median(walls)


def _measure_idle_memory(airflow: Airflow) -> Iterator[Figure]:
    pods = idle_memory(airflow.stack, NAMESPACES)
    yield Figure("scheduler idle", "MiB", pods["airflow-scheduler"], 320.0)
    yield Figure("web server idle", "MiB", pods["airflow-webserver"], 210.0)
    yield Figure("triggerer idle", "MiB", pods["airflow-triggerer"])
    yield Figure("Postgres idle", "MiB", pods["postgres"])
    yield Figure("Airflow and Postgres idle", "MiB", sum(pods.values()), 650.0)


def _measure_busy_memory(airflow: Airflow, client: AirflowClient) -> float:
    """Return the maximum memory of all pods together while tasks ran, MiB."""
    airflow.write("bench-four", _FOUR.format(tasks=TASKS, image=airflow.state["images"]["task"]))
    _until("DAG bench-four", lambda: client.find("/dags/bench-four") is not None)
    run = airflow.start("bench-four")
    most = 0.0
    while airflow.state_of(run) in ("queued", "running"):
        most = max(most, sum(pod_memory(airflow.stack, NAMESPACES).values()))
        time.sleep(1)
    return most


if __name__ == "__main__":
    sys.exit(main())
