"""Delete a DAG: its file, its runs and its history."""

from __future__ import annotations

from http import HTTPStatus

from devstack.airflow.client import AirflowApiError, AirflowClient, AirflowUnavailableError
from devstack.airflow.dags import (
    delete_dag_history,
    find_dag_details,
    list_import_failures,
    set_paused,
)
from devstack.airflow.runs import DagRun, list_runs, stop_run
from devstack.deployers.airflow.dag_folder import DagFolder, dag_path
from devstack.deployers.airflow.follow import task_pods
from devstack.errors import DevstackError
from devstack.stack import Stack
from devstack.waits import Observation, Ready, Waiting, wait_until

MAX_RUNS = 1000


def delete_dag(stack: Stack, client: AirflowClient, dag_id: str, *, force: bool) -> None:
    """Delete a DAG.

    It is paused first, so that no run starts meanwhile.

    Args:
        stack: the stack.
        client: its Airflow.
        dag_id: the DAG.
        force: stop active runs; if False, they are an error.

    Raises:
        DevstackError: ``DAG_BUSY``, ``DELIVERY_FAILED`` or ``WAIT_TIMEOUT``.
    """
    details = find_dag_details(client, dag_id)
    if details is not None:
        set_paused(client, dag_id, True)
        active = _active_runs(client, dag_id)
        if active and not force:
            set_paused(client, dag_id, bool(details.get("is_paused")))
            raise _busy(dag_id, len(active))
        _stop_runs(stack, client, dag_id)
    DagFolder(stack).delete(dag_id)
    wait_until(
        lambda: _observe_deletion(client, dag_id),
        what=f"{dag_id} to be deleted",
        timeout=stack.spec.timeout,
        clock=stack.clock,
    )


def _observe_deletion(client: AirflowClient, dag_id: str) -> Observation:
    try:
        if delete_dag_history(client, dag_id):
            # The scheduler may have read the file just before it was deleted.
            return Waiting("the scheduler has parsed it again")
    except AirflowApiError as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
        return Waiting(error.detail)
    except AirflowUnavailableError as error:
        return Waiting(f"{error}: {error.cause}")
    path = dag_path(dag_id)
    if any(each.file == path for each in list_import_failures(client)):
        return Waiting("Airflow still reports that it cannot import the file")
    return Ready()


def _active_runs(client: AirflowClient, dag_id: str) -> list[DagRun]:
    return [run for run in list_runs(client, dag_id, MAX_RUNS) if not run.finished]


def _busy(dag_id: str, count: int) -> DevstackError:
    return DevstackError(
        f"cannot delete {dag_id}",
        cause=f"{count} of its runs are active",
        remedy=f"wait until they end, or devstack airflow delete --force {dag_id}",
        code="DAG_BUSY",
    )


def _stop_runs(stack: Stack, client: AirflowClient, dag_id: str) -> None:
    """Stop the active runs and wait until their pods are deleted, while Airflow has the runs.

    The scheduler may have been creating a run when the DAG was paused.
    """
    stopped: dict[str, DagRun] = {}

    def observe() -> Observation:
        try:
            return stop()
        except AirflowUnavailableError as error:
            return Waiting(f"{error}: {error.cause}")

    def stop() -> Observation:
        active = _active_runs(client, dag_id)
        for run in active:
            stopped[run.run_id] = run
            stop_run(client, run)
        pods = [
            pod["metadata"]["name"] for run in stopped.values() for pod in task_pods(stack, run)
        ]
        if pods:
            return Waiting(f"pods are terminating: {', '.join(pods)}")
        return Waiting("runs are being stopped") if active else Ready()

    wait_until(
        observe,
        what="the pods of the stopped runs to terminate",
        timeout=stack.spec.timeout,
        clock=stack.clock,
        interval=1.0,
    )
