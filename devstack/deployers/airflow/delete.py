"""Removing a DAG and all that Airflow remembers of it."""

from __future__ import annotations

from devstack.airflow.client import quoted
from devstack.airflow.runs import ENDED, list_runs
from devstack.deployers.airflow.connect import StackAirflow
from devstack.deployers.airflow.follow import end_run, pods_of
from devstack.errors import DevstackError
from devstack.waits import Observation, Ready, Waiting, wait_until


def delete_dag(airflow: StackAirflow, dag_id: str, *, force: bool) -> None:
    """Remove a DAG: its file first, then its history.

    Args:
        airflow: the stack's Airflow.
        dag_id: the DAG.
        force: end the runs that are under way; refuse where False.

    Raises:
        DevstackError: ``DAG_BUSY``, ``DELIVERY_FAILED``, or ``WAIT_TIMEOUT``
            where it comes back.
    """
    _end_runs(airflow, dag_id, force)
    airflow.folder.remove(dag_id)
    airflow.client.delete(f"/dags/{quoted(dag_id)}")

    def observe() -> Observation:
        # The file may have been read just before it was removed.
        if airflow.client.delete(f"/dags/{quoted(dag_id)}"):
            return Waiting("the scheduler had just parsed it again")
        return Ready()

    wait_until(observe, what=f"{dag_id} to go", timeout=airflow.timeout, clock=airflow.clock)


def _end_runs(airflow: StackAirflow, dag_id: str, force: bool) -> None:
    """End the runs under way, and wait until their pods are gone: nobody else would end those."""
    active = [run for run in list_runs(airflow.client, dag_id, 1000) if run.state not in ENDED]
    if active and not force:
        raise DevstackError(
            f"cannot delete {dag_id}",
            cause=f"{len(active)} of its runs are under way",
            remedy=f"wait for them, or devstack airflow delete --force {dag_id}",
            code="DAG_BUSY",
        )
    for run in active:
        end_run(airflow, run)

    def observe() -> Observation:
        left = [pod["metadata"]["name"] for run in active for pod in pods_of(airflow, run)]
        return Waiting(f"pods are ending: {', '.join(left)}") if left else Ready()

    wait_until(
        observe,
        what=f"the pods of {dag_id} to end",
        timeout=airflow.timeout,
        clock=airflow.clock,
        interval=1.0,
    )
