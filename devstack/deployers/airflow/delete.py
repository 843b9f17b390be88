"""Delete a DAG: its file, its runs, its history and its production token."""

from __future__ import annotations

from http import HTTPStatus

from devstack.airflow.client import AirflowApiError, AirflowClient, AirflowUnavailableError
from devstack.airflow.dags import (
    delete_dag_history,
    find_dag_details,
    list_import_failures,
    set_paused,
)
from devstack.airflow.runs import DagRun, delete_run, list_runs, list_tasks
from devstack.deployers.airflow.dag_folder import DagFolder, dag_path
from devstack.deployers.airflow.follow import task_pods
from devstack.deployers.airflow.patches import GRACE_SECONDS
from devstack.deployers.errors import deployment_busy
from devstack.services import minio
from devstack.stack import Stack
from devstack.waits import Observation, Ready, Waiting, wait_until

MAX_RUNS = 1000

TOKENS = f"{minio.DATASTORE}/mf.airflow"
"""Where Metaflow stores the production token of each DAG (``Airflow.TOKEN_STORAGE_ROOT``)."""

START_SECONDS = 15.0
"""Seconds in which a task's process creates its pod, or notices that its run does not exist.

It looks twice, with the interval of its heartbeat: 5 s.
"""


def delete_dag(stack: Stack, client: AirflowClient, dag_id: str, *, force: bool) -> None:
    """Delete a DAG.

    It is paused first, so that no run starts meanwhile.

    Args:
        stack: the stack.
        client: its Airflow.
        dag_id: the DAG.
        force: delete active runs too; if False, they are an error.

    Raises:
        DevstackError: ``DAG_BUSY``, ``DELIVERY_FAILED``, ``MINIO_UNREACHABLE`` or
            ``WAIT_TIMEOUT``; the command can be repeated then.
    """
    details = find_dag_details(client, dag_id)
    if details is not None:
        set_paused(client, dag_id, True)
        active = _active_runs(client, dag_id)
        if active and not force:
            set_paused(client, dag_id, bool(details.get("is_paused")))
            raise deployment_busy("airflow", dag_id, len(active), "DAG_BUSY")
        _delete_runs(stack, client, dag_id)
    minio.delete_object(stack.context(None), f"{TOKENS}/{dag_id}")
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


def _delete_runs(stack: Stack, client: AirflowClient, dag_id: str) -> None:
    """Delete the active runs and wait until their pods are deleted.

    Airflow needs minutes to mark a run with a thousand tasks as failed, but deletes it at
    once; the processes of its tasks then end, and delete their pods. The scheduler may
    have been creating a run when the DAG was paused.
    """
    deleted: dict[str, DagRun] = {}
    quiet_from = 0.0

    def observe() -> Observation:
        nonlocal quiet_from
        try:
            for run in _active_runs(client, dag_id):
                if _starts_pods(stack, client, run):
                    quiet_from = stack.clock.now() + START_SECONDS
                deleted[run.run_id] = run
                delete_run(client, run)
        except AirflowUnavailableError as error:
            return Waiting(f"{error}: {error.cause}")
        pods = [pod for run in deleted.values() for pod in task_pods(stack, run)]
        names = [pod["metadata"]["name"] for pod in pods]
        for name in names:
            stack.kube().delete(
                "v1", "Pod", name, stack.state.namespace, grace_seconds=GRACE_SECONDS
            )
        if names:
            return Waiting(f"pods are terminating: {', '.join(names)}")
        if stack.clock.now() < quiet_from:
            return Waiting("tasks that were starting may still create pods")
        return Ready()

    wait_until(
        observe,
        what="the pods of the deleted runs to terminate",
        timeout=stack.spec.timeout,
        clock=stack.clock,
        interval=1.0,
    )


def _starts_pods(stack: Stack, client: AirflowClient, run: DagRun) -> bool:
    """Return True if a task of the run has started, but its pod does not exist yet."""
    started = [task for task in list_tasks(client, run) if task.state in ("queued", "running")]
    return len(started) > len(list(task_pods(stack, run)))
