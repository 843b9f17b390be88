"""Delete a DAG: its file, its runs and its history."""

from __future__ import annotations

from devstack.airflow.client import AirflowClient
from devstack.airflow.dags import delete_dag_history
from devstack.airflow.runs import DagRun, list_runs, stop_run
from devstack.deployers.airflow.dag_folder import DagFolder
from devstack.deployers.airflow.follow import task_pods
from devstack.errors import DevstackError
from devstack.stack import Stack
from devstack.waits import Observation, Ready, Waiting, wait_until

MAX_RUNS = 1000


def delete_dag(stack: Stack, client: AirflowClient, dag_id: str, *, force: bool) -> None:
    """Delete a DAG.

    Args:
        stack: the stack.
        client: its Airflow.
        dag_id: the DAG.
        force: stop active runs; if False, they are an error.

    Raises:
        DevstackError: ``DAG_BUSY``, ``DELIVERY_FAILED`` or ``WAIT_TIMEOUT``.
    """
    active = [run for run in list_runs(client, dag_id, MAX_RUNS) if not run.finished]
    if active and not force:
        raise DevstackError(
            f"cannot delete {dag_id}",
            cause=f"{len(active)} of its runs are active",
            remedy=f"wait until they end, or devstack airflow delete --force {dag_id}",
            code="DAG_BUSY",
        )
    _stop_runs(stack, client, active)
    DagFolder(stack).delete(dag_id)
    delete_dag_history(client, dag_id)

    def observe() -> Observation:
        # The scheduler may have read the file just before it was deleted.
        if delete_dag_history(client, dag_id):
            return Waiting("the scheduler has parsed it again")
        return Ready()

    wait_until(
        observe, what=f"{dag_id} to be deleted", timeout=stack.spec.timeout, clock=stack.clock
    )


def _stop_runs(stack: Stack, client: AirflowClient, runs: list[DagRun]) -> None:
    """Stop runs and wait until their pods are deleted, while Airflow still has the runs."""
    for run in runs:
        stop_run(client, run)

    def observe() -> Observation:
        pods = [pod["metadata"]["name"] for run in runs for pod in task_pods(stack, run)]
        return Waiting(f"pods are terminating: {', '.join(pods)}") if pods else Ready()

    wait_until(
        observe,
        what="the pods of the stopped runs to terminate",
        timeout=stack.spec.timeout,
        clock=stack.clock,
        interval=1.0,
    )
