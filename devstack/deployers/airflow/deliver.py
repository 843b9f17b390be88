"""Deliver a DAG file, and wait until the scheduler has parsed it."""

from __future__ import annotations

from dataclasses import dataclass, field

from devstack.airflow.client import AirflowClient, AirflowUnavailableError
from devstack.airflow.dags import (
    ImportFailure,
    dag_url,
    ensure_pool,
    find_dag_details,
    list_import_failures,
    set_paused,
)
from devstack.deployers.airflow.compile import CompiledDag
from devstack.deployers.airflow.dag_folder import DagFolder, dag_path
from devstack.deployers.base import Deployment, Note
from devstack.errors import DevstackError
from devstack.lifecycle.airflow_service import installation_settings
from devstack.services.airflow.config import parallelism
from devstack.stack import Stack
from devstack.waits import Failed, Observation, Ready, Waiting, wait_until

POLL_INTERVAL = 0.25

TOUCH_INTERVAL = 4.0
"""Seconds after which an unparsed file is touched.

The scheduler compares modification times. It misses a file that is replaced while
the previous version is being parsed, and would parse it again only after 30 s.
"""


def deliver_dag(
    stack: Stack, client: AirflowClient, compiled: CompiledDag, note: Note
) -> Deployment:
    """Write a DAG's file, wait until the scheduler has parsed it, and unpause the DAG.

    Args:
        stack: the stack.
        client: its Airflow.
        compiled: the DAG.
        note: shows the progress.

    Raises:
        DevstackError: ``DELIVERY_FAILED``, ``DAG_IMPORT_FAILED`` with Python's
            traceback, or ``WAIT_TIMEOUT``.
    """
    began = stack.clock.now()
    created = create_pools(stack, client, compiled)
    _Delivery(stack, client, compiled).run(note)
    seconds = stack.clock.now() - began
    set_paused(client, compiled.dag_id, compiled.paused)
    return Deployment(
        name=compiled.dag_id,
        flow=compiled.flow,
        schedule=compiled.schedule,
        paused=compiled.paused,
        url=dag_url(client, compiled.dag_id),
        deliver_seconds=seconds,
        details={
            "dag_id": compiled.dag_id,
            "pools": created,
            "parse_seconds": round(seconds, 2),
        },
    )


def create_pools(stack: Stack, client: AirflowClient, compiled: CompiledDag) -> list[str]:
    """Create the pools of a DAG's tasks that do not exist; return their names.

    They have as many slots as tasks may run at a time: what limits tasks are the workers.

    Args:
        stack: the stack.
        client: its Airflow.
        compiled: the DAG.
    """
    slots = parallelism(installation_settings(stack))
    return [name for name in compiled.pools if ensure_pool(client, name, slots)]


@dataclass
class _Delivery:
    """Delivers one DAG file.

    Attributes:
        stack: the stack.
        client: its Airflow.
        compiled: the DAG.
        old_failures: id and timestamp of the import errors of the previous file.
        touched: when the file was last written or touched.
    """

    stack: Stack
    client: AirflowClient
    compiled: CompiledDag
    old_failures: set[tuple[int, str]] = field(default_factory=set)
    touched: float = 0.0

    def run(self, note: Note) -> None:
        """Write the file and wait until it is parsed."""
        self.old_failures = {(each.id, each.timestamp) for each in self._import_failures()}
        note("delivering the DAG file to Airflow")
        DagFolder(self.stack).write(self.compiled.dag_id, self.compiled.text)
        self.touched = self.stack.clock.now()
        wait_until(
            self._observe,
            what=f"the scheduler to parse {self.compiled.dag_id}",
            timeout=self.stack.spec.timeout,
            clock=self.stack.clock,
            interval=POLL_INTERVAL,
            note=note,
        )

    def _observe(self) -> Observation:
        try:
            observation = self._observe_dag()
        except AirflowUnavailableError as error:
            # Airflow answers with status 500 while it has stored only part of a DAG.
            observation = Waiting(str(error))
        if (
            isinstance(observation, Waiting)
            and self.stack.clock.now() - self.touched > TOUCH_INTERVAL
        ):
            self.touched = self.stack.clock.now()
            return self._touch() or observation
        return observation

    def _observe_dag(self) -> Observation:
        """Check for this compilation of the DAG, by its start date."""
        details = find_dag_details(self.client, self.compiled.dag_id) or {}
        if (details.get("start_date") or "").startswith(self.compiled.start_date):
            return Ready()
        for failure in self._import_failures():
            if (failure.id, failure.timestamp) not in self.old_failures:
                return Failed(
                    f"Airflow cannot import the DAG: {failure.reason}",
                    remedy="correct the flow, then deploy it again; or "
                    f"devstack airflow delete {self.compiled.dag_id}",
                    code="DAG_IMPORT_FAILED",
                    output=failure.traceback,
                )
        return Waiting("the scheduler has not parsed it yet")

    def _touch(self) -> Waiting | None:
        """Touch the file.

        A scheduler that is not running is no failure: it parses all files when it restarts.
        """
        try:
            DagFolder(self.stack).touch(self.compiled.dag_id)
        except DevstackError as error:
            return Waiting(f"{error}: {error.cause}")
        return None

    def _import_failures(self) -> list[ImportFailure]:
        path = dag_path(self.compiled.dag_id)
        return [each for each in list_import_failures(self.client) if each.file == path]
