"""The deployer for a stack's Airflow."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from devstack.airflow.client import AirflowClient
from devstack.airflow.dags import (
    Dag,
    ImportFailure,
    dag_url,
    list_dags,
    list_import_failures,
)
from devstack.airflow.dags import set_paused as set_dag_paused
from devstack.airflow.runs import (
    DagRun,
    delete_run,
    get_run,
    list_runs,
    list_runs_between,
    list_tasks,
    read_log,
    stop_run,
)
from devstack.airflow.task_log import task_lines
from devstack.deployers.airflow.backfill import BackfillOptions, backfill_dag, follow_backfill
from devstack.deployers.airflow.compile import CompiledDag, compile_flow
from devstack.deployers.airflow.delete import delete_dag
from devstack.deployers.airflow.deliver import create_pools, deliver_dag
from devstack.deployers.airflow.deployed_flow import (
    DeployedFlow,
    get_deployed_flow,
    list_deployed_flows,
)
from devstack.deployers.airflow.follow import failure_of, follow_run, wait_scheduled_run
from devstack.deployers.airflow.lookup import find_run, find_tasks, resolve_dag
from devstack.deployers.airflow.other_delivery import require_deletable, require_deployable
from devstack.deployers.airflow.trigger import trigger_dag
from devstack.deployers.base import Deployment, DeployOptions, Note, RunResult, TaskLog
from devstack.deployers.compiled_file import write_compiled
from devstack.deployers.deployment_lock import deployment_lock, lock_folder
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.environment import FlowEnvironment
from devstack.image_names import spellings
from devstack.lifecycle.added_images import latest_names
from devstack.lifecycle.airflow_service import require_airflow, require_celery
from devstack.lifecycle.port_forwards import ensure_port_forwards
from devstack.samples.checks.result import CheckResult
from devstack.services.airflow import service as airflow
from devstack.stack import Stack


@dataclass(frozen=True)
class AirflowDeployer:
    """Deploys flows as DAGs; see :class:`devstack.deployers.base.Deployer`.

    Attributes:
        stack: the stack.
        client: its Airflow.
    """

    stack: Stack
    client: AirflowClient
    engine: str = "airflow"

    def compile(self, options: DeployOptions, env: FlowEnvironment) -> CompiledDag:
        """Compile a flow to a DAG file."""
        added = latest_names(self.stack)
        latest = sorted(text for name in added for text in spellings(name))
        return compile_flow(options, env, self.stack.runner, lock_folder(self.stack), latest)

    def deliver(self, compiled: CompiledDag, note: Note) -> Deployment:
        """Write the DAG file; return when the scheduler has parsed it."""
        require_deployable(self.stack)
        with deployment_lock(self.stack, self.engine, compiled.dag_id, note):
            return deliver_dag(self.stack, self.client, compiled, note)

    def write(self, compiled: CompiledDag, target: Path) -> Path:
        """Write the DAG file on this machine, for any way of delivery; return its path.

        Pools that the DAG's tasks use are created in Airflow.

        Args:
            compiled: the DAG.
            target: a file, or a folder that exists.

        Raises:
            DevstackError: ``DAG_NOT_WRITTEN``.
        """
        create_pools(self.stack, self.client, compiled)
        return write_compiled(compiled.text, f"{compiled.dag_id}.py", target, "DAG_NOT_WRITTEN")

    def resolve(self, name: str, *, broken: bool = False) -> str:
        """Return the id of a DAG given by its id, or by the flow's name if unique.

        Args:
            name: what the user typed.
            broken: accept DAGs whose file Airflow could never import.
        """
        return resolve_dag(self.client, name, broken=broken)

    def dags(self) -> list[Dag]:
        """Return all DAGs, sorted by id."""
        return list_dags(self.client)

    def import_failures(self) -> list[ImportFailure]:
        """Return the DAG files that cannot be imported."""
        return list_import_failures(self.client)

    def set_paused(self, name: str, paused: bool) -> None:
        """Pause or unpause a DAG."""
        set_dag_paused(self.client, name, paused)

    def trigger(self, name: str, parameters: Mapping[str, str]) -> DagRun:
        """Trigger a run of a DAG."""
        return trigger_dag(self.client, name, parameters)

    def runs(self, name: str = "", limit: int = 25) -> list[DagRun]:
        """Return the latest runs of a DAG, or of all; the latest first."""
        return list_runs(self.client, name, limit)

    def deployed_flow(self, dag_id: str) -> DeployedFlow:
        """Return the flow that a DAG was compiled from."""
        return get_deployed_flow(self.client, dag_id)

    def deployed_flows(self) -> list[DeployedFlow]:
        """Return the flows of all DAGs that Metaflow compiled, sorted by the DAG's id."""
        return list_deployed_flows(self.client)

    def find_run(self, name: str, dag_id: str = "") -> DagRun:
        """Return a run by Airflow's id, Metaflow's id, or the latest run of a DAG.

        Args:
            name: what the user typed.
            dag_id: the DAG of the run; any if empty.
        """
        return find_run(self.client, name, dag_id)

    def follow(self, run: DagRun, note: Note, timeout: float | None = None) -> RunResult[DagRun]:
        """Wait until a run is finished."""
        return follow_run(self.stack, self.client, run, note, timeout)

    def wait_scheduled_run(self, name: str, known: Collection[str], note: Note) -> DagRun:
        """Wait until the scheduler starts a run whose id is not in ``known``, and return it."""
        return wait_scheduled_run(self.stack, self.client, name, known, note)

    def wait_event_run(self, name: str, known: Collection[str], note: Note) -> DagRun:
        """Raise ``EVENTS_UNSUPPORTED``: Airflow has no Metaflow events."""
        raise DevstackError(
            f"no event can start {name}",
            cause="Airflow has no Metaflow events",
            remedy="use @airflow_external_task_sensor to wait for another DAG",
            code="EVENTS_UNSUPPORTED",
            exit_status=ExitStatus.USAGE,
        )

    def backfill(
        self,
        name: str,
        dates: tuple[datetime, datetime],
        date_parameter: str,
        note: Note,
        timeout: float | None = None,
    ) -> list[RunResult[DagRun]]:
        """Run a DAG again for each date of its schedule, and wait until all runs have ended."""
        start, end = dates
        for run in list_runs_between(self.client, name, start.isoformat(), end.isoformat()):
            delete_run(self.client, run)
        options = BackfillOptions(start, end, date_parameters={date_parameter: "ds"})
        made = backfill_dag(self.stack, self.client, name, options)
        follow_backfill(self.stack, self.client, made, note, timeout)
        runs = [get_run(self.client, name, run.dag_run_id) for run in made.runs]
        return [RunResult(run, list_tasks(self.client, run), ok=True) for run in runs]

    def stop(self, run: DagRun) -> None:
        """Mark a run as failed, which stops its tasks."""
        stop_run(self.client, run)

    def failure(self, result: RunResult[DagRun]) -> DevstackError:
        """Return the error that explains why a run did not succeed."""
        return failure_of(self.client, result.run)

    def check_run(self, result: RunResult[DagRun]) -> list[CheckResult]:
        """Return nothing: the checks of samples get Airflow's tasks."""
        return []

    def logs(self, run: DagRun, task: str = "", attempt: int = 0) -> Iterator[TaskLog]:
        """Yield the logs of a run's tasks that have started."""
        for each in find_tasks(list_tasks(self.client, run), task):
            if each.attempts:
                text = read_log(self.client, run, each, attempt)
                yield TaskLog(each, text, task_lines(text))

    def delete(self, name: str, *, force: bool) -> None:
        """Delete a DAG with its runs and history."""
        require_deletable(self.stack)
        with deployment_lock(self.stack, self.engine, name):
            delete_dag(self.stack, self.client, name, force=force)

    def url(self, name: str = "") -> str:
        """Return the address of a DAG's page, or of Airflow's home page."""
        return dag_url(self.client, name) if name else f"{self.client.url}/home"

    def flower_url(self) -> str:
        """Return the address of Flower.

        Raises:
            DevstackError: ``CELERY_DISABLED``.
        """
        require_celery(self.stack, "there is no Flower")
        return airflow.flower_url(self.stack.context(None), self.stack.installation)


def open_deployer(stack: Stack) -> AirflowDeployer:
    """Return the deployer for a stack's Airflow, the installation that the stack selects.

    Raises:
        DevstackError: ``STACK_DOWN``, ``AIRFLOW_DISABLED`` if the stack has no Airflow, or
            ``INSTALLATION_UNKNOWN``.
    """
    service = require_airflow(stack)
    if service.added:
        ensure_port_forwards(stack, service)
    return AirflowDeployer(stack, airflow.connect(stack.context(None), stack.installation))
