"""Concurrent runs of a foreach: all succeed, and no pod remains."""

from __future__ import annotations

import json

from devstack.samples.catalogue import FOLDER
from devstack.waits import Observation, Ready, SystemClock, Waiting, wait_until
from tests.airflow.flows_on_airflow import airflow, artifacts, deploy
from tests.support.commandline import Devstack

RUNS = 8
"""Airflow runs four tasks at a time; these runs request 24."""


def test_concurrent_runs_all_succeed(stack: Devstack) -> None:
    deploy(stack, FOLDER / "fanout.py")
    started = [airflow(stack, "trigger", "FanoutFlow")["data"] for _ in range(RUNS)]
    ids = {run["dag_run_id"] for run in started}
    assert len(ids) == RUNS

    def observe() -> Observation:
        runs = airflow(stack, "runs", "FanoutFlow", "--limit", "100")["data"]["runs"]
        states = [run["state"] for run in runs if run["dag_run_id"] in ids]
        if states.count("success") == RUNS:
            return Ready()
        assert "failed" not in states
        return Waiting(f"{states.count('success')} of {RUNS} are done")

    wait_until(observe, what="all runs", timeout=1200, clock=SystemClock(), interval=5)
    for run in started:
        assert artifacts(stack, "FanoutFlow", run, "total", "squares") == [14, [1, 4, 9]]
    # The stack is shared, so only the pods of these runs count.
    label = "kubernetes_pod_operator=True,dag_id=FanoutFlow"
    left = stack.admin_kubectl("get", "pods", "-n", "metaflow", "-l", label, "-o", "json")
    assert json.loads(left.stdout)["items"] == []
