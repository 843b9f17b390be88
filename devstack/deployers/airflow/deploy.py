"""Deploying a flow: compiled, delivered, parsed by the scheduler, unpaused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from devstack.airflow.client import AirflowUnavailableError, quoted
from devstack.airflow.dags import (
    ImportFailure,
    ensure_pool,
    find_details,
    list_import_failures,
    set_paused,
)
from devstack.deployers.airflow.compile import CompileCall, CompiledDag, compile_flow
from devstack.deployers.airflow.connect import StackAirflow
from devstack.deployers.airflow.deliver import path_of
from devstack.errors import DevstackError
from devstack.flows.environment import FlowEnvironment
from devstack.waits import Failed, Observation, Ready, Waiting, wait_until

POOL_SLOTS = 4
"""Tasks at once in a pool that is made; as many as the stack's Airflow runs together."""

LOOK_SECONDS = 0.25

NUDGE_SECONDS = 4.0
"""How long a file may go unparsed until it is touched.

The scheduler goes by the time of change, and takes a file that is replaced while
it parses the one before for the one it has read; it would look again in 30 s.
"""


@dataclass(frozen=True)
class Deployment:
    """A flow that Airflow knows as a DAG.

    Attributes:
        dag_id: the DAG.
        flow: the flow's class.
        schedule: a cron expression or a preset; empty where nothing starts it by itself.
        paused: True where it waits until somebody unpauses it.
        pools: the pools that were made for it.
        compile_seconds: how long Metaflow took.
        parse_seconds: from the file's delivery until the scheduler had parsed it.
        url: its page.
    """

    dag_id: str
    flow: str
    schedule: str
    paused: bool
    pools: tuple[str, ...]
    compile_seconds: float
    parse_seconds: float
    url: str

    def as_dict(self) -> dict[str, Any]:
        """Return the deployment as it stands in the JSON envelope."""
        return {
            "dag_id": self.dag_id,
            "flow": self.flow,
            "schedule": self.schedule,
            "paused": self.paused,
            "pools": list(self.pools),
            "compile_seconds": round(self.compile_seconds, 2),
            "parse_seconds": round(self.parse_seconds, 2),
            "url": self.url,
        }


def deploy(
    call: CompileCall, env: FlowEnvironment, airflow: StackAirflow, note: Callable[[str], None]
) -> Deployment:
    """Deploy a flow, and return once the scheduler knows it as it is now.

    Args:
        call: the flow, and how to compile it.
        env: the stack, as one who runs flows sees it.
        airflow: the stack's Airflow.
        note: told what goes on.

    Raises:
        DevstackError: ``AIRFLOW_CANNOT``, ``COMPILE_FAILED``, ``DELIVERY_FAILED``,
            ``DAG_IMPORT_FAILED`` with Python's traceback, or ``WAIT_TIMEOUT``.
    """
    clock, client = airflow.clock, airflow.client
    began = clock.now()
    note("Metaflow compiles the flow")
    compiled = compile_flow(call, env, airflow.runner)
    delivered = clock.now()
    made = tuple(name for name in compiled.pools if ensure_pool(client, name, POOL_SLOTS))
    _deliver(compiled, airflow, note)
    parsed = clock.now()
    set_paused(client, compiled.dag_id, call.paused)
    return Deployment(
        dag_id=compiled.dag_id,
        flow=compiled.flow,
        schedule=compiled.schedule,
        paused=call.paused,
        pools=made,
        compile_seconds=delivered - began,
        parse_seconds=parsed - delivered,
        url=f"{client.url}/dags/{quoted(compiled.dag_id)}/grid",
    )


def _deliver(compiled: CompiledDag, airflow: StackAirflow, note: Callable[[str], None]) -> None:
    known = _failures(airflow, compiled.dag_id)
    note("handing the DAG to Airflow")
    airflow.folder.write(compiled.dag_id, compiled.text)
    touched = airflow.clock.now()

    def observe() -> Observation:
        nonlocal touched
        try:
            seen = _observe(compiled, airflow, known)
        except AirflowUnavailableError as away:
            # Airflow fails on a DAG of which it has the name, and not yet the rest.
            seen = Waiting(str(away))
        if isinstance(seen, Waiting) and airflow.clock.now() - touched > NUDGE_SECONDS:
            touched = airflow.clock.now()
            return _touch(compiled, airflow) or seen
        return seen

    wait_until(
        observe,
        what=f"the scheduler to parse {compiled.dag_id}",
        timeout=airflow.timeout,
        clock=airflow.clock,
        interval=LOOK_SECONDS,
        note=note,
    )


def _touch(compiled: CompiledDag, airflow: StackAirflow) -> Waiting | None:
    """Make the delivered file look new; say so where the scheduler is away.

    It reads its whole folder when it is back, so that is no reason to give up.
    """
    try:
        airflow.folder.touch(compiled.dag_id)
    except DevstackError as away:
        return Waiting(f"{away}: {away.cause}")
    return None


def _observe(
    compiled: CompiledDag, airflow: StackAirflow, known: set[tuple[int, str]]
) -> Observation:
    """Look whether Airflow shows this very compilation: its start date is like no other's."""
    details = find_details(airflow.client, compiled.dag_id) or {}
    if (details.get("start_date") or "").startswith(compiled.start_date):
        return Ready()
    for failure in _import_failures(airflow, compiled.dag_id):
        # One that was there before tells of the file that was there before.
        if (failure.id, failure.when) not in known:
            return Failed(
                f"Airflow cannot import the DAG: {last_line(failure.traceback)}",
                remedy="correct the flow, then deploy it again",
                code="DAG_IMPORT_FAILED",
                output=failure.traceback,
            )
    return Waiting("the scheduler has not parsed it yet")


def last_line(traceback: str) -> str:
    """Return the line of a traceback that says what went wrong."""
    lines = [line.strip() for line in traceback.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def _failures(airflow: StackAirflow, dag_id: str) -> set[tuple[int, str]]:
    return {(each.id, each.when) for each in _import_failures(airflow, dag_id)}


def _import_failures(airflow: StackAirflow, dag_id: str) -> list[ImportFailure]:
    found = list_import_failures(airflow.client)
    return [failure for failure in found if failure.file == path_of(dag_id)]
