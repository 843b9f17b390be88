"""Measures Argo, its events and Kubeflow Pipelines, with the stack without them in the same run."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import requests

from devstack.kube.client import KubeClient
from devstack.kube.workflows import Workflow, list_workflows
from scripts.benchmarks import airflow as airflow_benchmark
from scripts.benchmarks.airflow import SIX_PODS
from scripts.benchmarks.figures import Figure, parse_arguments, report
from scripts.benchmarks.pod_memory import idle_memory
from scripts.benchmarks.timing import time_command
from tests.airflow.airflow_stack import Airflow
from tests.argo.flows_on_argo import deploy
from tests.support.commandline import Devstack
from tests.support.engines import call_engine, run_to_end

STACK = "bench-argo"
UP = ("up", "--timeout", "900")
ARGO, EVENTS, KUBEFLOW = ("argo",), ("argo-events", "argo-sensors"), ("kubeflow",)
"""The namespaces of each service."""

START_SECONDS = 60.0
POLL_SECONDS = 0.05


def main() -> int:
    """Measure, print a table, write JSON; 1 if a budget is missed."""
    arguments = parse_arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        stack = Devstack(STACK, Path(folder))
        stack.leave_out("airflow", "metrics-server")
        try:
            figures = list(_measure(stack, arguments.runs))
        finally:
            stack.run("down")
    title = "Argo, and the stack without it in the same run"
    return report(figures, title, arguments.json)


def _measure(stack: Devstack, runs: int) -> Iterator[Figure]:
    yield from _time_up(stack, runs)
    yield _idle(stack, "Argo idle", ARGO, 120.0)
    yield Figure("devstack argo deploy", "s", _time_deploy(stack, runs), 4.0)
    on_argo = _time_runs(stack, runs)
    yield from _measure_events(stack, runs)
    stack.run(*UP, "--with", "kubeflow", timeout=3600)
    yield _idle(stack, "Kubeflow Pipelines idle, beyond Argo", KUBEFLOW, 100.0)
    on_airflow = _time_runs_on_airflow(stack, runs)
    yield Figure("a run of 6 pods (peer: Airflow)", "s", on_argo, 40.0, on_airflow)


def _time_up(stack: Devstack, runs: int) -> Iterator[Figure]:
    """Time `up` without Argo and with it, in turn; the last stack stays."""
    without, whole = [], []
    for _ in range(runs):
        for options, times in (((), without), (("--with", "argo"), whole)):
            stack.run("down")
            times.append(time_command(stack, *UP, *options))
    base = statistics.median(without)
    yield Figure("devstack up, without Argo", "s", base)
    yield Figure("devstack up, what Argo adds", "s", statistics.median(whole) - base, 8.0)


def _idle(stack: Devstack, what: str, namespaces: tuple[str, ...], budget: float) -> Figure:
    memory = idle_memory(stack, namespaces)
    if not memory:
        raise SystemExit(f"no pods in {' and '.join(namespaces)}")
    return Figure(what, "MiB", sum(memory.values()), budget)


def _time_deploy(stack: Devstack, runs: int) -> float:
    command = ("argo", "deploy", str(SIX_PODS))
    return statistics.median(time_command(stack, *command) for _ in range(runs))


def _time_runs(stack: Devstack, runs: int) -> float:
    """Return the median of the seconds that a run of SIX_PODS takes, which is deployed."""
    ended = [run_to_end(stack, "argo", "FanoutFlow")["data"] for _ in range(runs)]
    return statistics.median(run["seconds"] for run in ended)


def _time_runs_on_airflow(stack: Devstack, runs: int) -> float:
    stack.leave_out("metrics-server")
    stack.run(*UP, "--with", "airflow", timeout=3600)
    stack.run(*airflow_benchmark.DEPLOY)
    return airflow_benchmark.time_runs(Airflow(stack), runs)


def _measure_events(stack: Devstack, runs: int) -> Iterator[Figure]:
    stack.run(*UP, "--with", "argo-events", timeout=3600)
    yield _idle(stack, "Argo Events idle, without sensors", EVENTS, 150.0)
    template = deploy(stack, "waiter.py")
    kubeconfig = (stack.directory / "admin.kubeconfig").read_text()
    kube = KubeClient.from_kubeconfig(kubeconfig, timeout=60)
    starts = [_time_event(stack, kube, template, number) for number in range(runs)]
    yield Figure("an event published -> its flow started", "s", statistics.median(starts), 3.0)
    call_engine(stack, "argo", "delete", "--force", template)


def _time_event(stack: Devstack, kube: KubeClient, template: str, number: int) -> float:
    """Return the seconds from the request to the webhook until the controller starts the run."""
    status = stack.json("status", "--secrets")["data"]
    login = {"Authorization": f"Bearer {status['secrets']['argo-events-token']}"}
    body = {"name": "shipment", "payload": {"name": "shipment", "boxes": number}}
    began = time.monotonic()
    answer = requests.post(status["urls"]["argo-events"], json=body, headers=login, timeout=30)
    answer.raise_for_status()
    while len(_started(kube, template)) <= number:
        if time.monotonic() - began > START_SECONDS:
            raise SystemExit(f"no run of {template} within {START_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began


def _started(kube: KubeClient, template: str) -> list[Workflow]:
    found = list_workflows(kube, "metaflow", template)
    return [run for run in found if run.state != "pending"]


if __name__ == "__main__":
    sys.exit(main())
