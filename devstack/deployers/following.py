"""Follow a run of any engine to its end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic

from devstack.deployers.base import Note, Run, RunResult, RunT, Task
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.client import KubeClient, Object
from devstack.kube.offers import measure_offers
from devstack.kube.pods import observe_pod
from devstack.kube.volumes import first_missing_claim
from devstack.waits import Clock, Failed, Observation, Ready, Waiting, wait_until

POLL_INTERVAL = 1.0
OUTAGE_TIMEOUT = 120.0
"""Seconds for which the engine or the Kubernetes API may be unavailable."""

SCHEDULE_TIMEOUT = 300.0
"""Seconds within which an engine starts a deployment that is scheduled every minute."""

LOG_LINES = 12
"""Number of log lines that an error quotes."""

Errors = tuple[type[Exception], ...]


@dataclass(frozen=True)
class Seen(Generic[RunT]):
    """What was seen of a run.

    Attributes:
        run: the run.
        tasks: its tasks.
        ok: True if the run succeeded.
        progress: its activity in one line.
        problem: what delays it and may end without the user's help; empty if nothing does.
    """

    run: RunT
    tasks: Sequence[Task]
    ok: bool
    progress: str
    problem: str = ""


def follow(
    engine: str,
    clock: Clock,
    observe: Callable[[], Seen[RunT]],
    note: Note,
    timeout: float | None,
    *,
    outages: Errors,
    final: Errors = (),
) -> RunResult[RunT]:
    """Wait until a run is finished.

    Args:
        engine: the engine, as in ``devstack ENGINE logs``.
        clock: the clock of the deadlines.
        observe: looks at the run.
        note: shows the progress.
        timeout: maximum seconds to wait; unlimited if None.
        outages: errors that may end by themselves within OUTAGE_TIMEOUT.
        final: those of them that do not.

    Raises:
        DevstackError: ``RUN_TIMEOUT``, or what ``observe`` raises.
    """
    began = last_answer = clock.now()
    while True:
        try:
            seen = observe()
            last_answer = clock.now()
        except outages as error:
            if isinstance(error, final) or clock.now() - last_answer > OUTAGE_TIMEOUT:
                raise
            note(str(error))
            clock.sleep(POLL_INTERVAL)
            continue
        if seen.run.finished:
            return RunResult(seen.run, seen.tasks, ok=seen.ok)
        note(f"{seen.progress}; {seen.problem}" if seen.problem else seen.progress)
        if timeout is not None and clock.now() - began > timeout:
            raise _timeout_error(engine, seen, timeout)
        clock.sleep(POLL_INTERVAL)


def find_failed_pod(kube: KubeClient, pods: Iterable[Object]) -> Failed | None:
    """Return why one of a run's pods cannot start, or None if all can."""
    pending = [pod for pod in pods if pod.get("status", {}).get("phase") == "Pending"]
    unplaced = [pod for pod in pending if not pod["spec"].get("nodeName")]
    if missing := first_missing_claim(kube, unplaced):
        return missing
    # Once for all pods: it lists all nodes and pods of the cluster.
    offers = measure_offers(kube) if unplaced else None
    for pod in pending:
        observation = observe_pod(kube, pod, offers)
        if isinstance(observation, Failed):
            return observation
    return None


def wait_for_new_run(
    clock: Clock,
    list_runs: Callable[[], Sequence[RunT]],
    known: Collection[str],
    note: Note,
    *,
    outages: Errors = (),
    kind: str = "scheduled",
    what: str,
    waiting: str,
) -> RunT:
    """Wait until a schedule or an event starts a run, and return the first one.

    Args:
        clock: the clock of the deadline.
        list_runs: lists the deployment's runs, the latest first.
        known: ids of earlier runs.
        note: shows the progress.
        outages: errors of ``list_runs`` that may end by themselves.
        kind: what starts the run, as :attr:`Run.kind`.
        what: what is awaited, for an error.
        waiting: the same for the progress.

    Raises:
        DevstackError: ``WAIT_TIMEOUT``.
    """
    started: list[RunT] = []

    def observe() -> Observation:
        try:
            runs = list_runs()
        except outages as error:
            return Waiting(str(error))
        started[:] = [run for run in runs if run.kind == kind and run.run_id not in known]
        return Ready() if started else Waiting(waiting)

    wait_until(
        observe,
        what=what,
        timeout=SCHEDULE_TIMEOUT,
        clock=clock,
        interval=POLL_INTERVAL,
        note=note,
    )
    return started[-1]


def stopped_error(engine: str, run: Run, failure: Failed) -> DevstackError:
    """Return the error for a run that devstack stopped because of a failure."""
    return DevstackError(
        f"run {run.run_id} of {run.name} was stopped",
        cause=failure.reason,
        remedy=failure.remedy or f"devstack {engine} logs {run.metaflow_id}",
        code=failure.code,
        exit_status=ExitStatus.FLOW_FAILED,
        output=failure.output,
    )


def _timeout_error(engine: str, seen: Seen[RunT], timeout: float) -> DevstackError:
    return DevstackError(
        f"run {seen.run.run_id} of {seen.run.name} did not end within {timeout:.0f} s",
        cause=seen.progress,
        remedy=f"it continues; see devstack {engine} logs {seen.run.metaflow_id}",
        code="RUN_TIMEOUT",
        exit_status=ExitStatus.TIMEOUT,
    )
