"""Backfills: the runs of a DAG's schedule in the past.

`airflow dags backfill` runs tasks by an executor of its own, which ends with its process.
Here a program in the scheduler's pod only creates the runs, so the stack's executor runs
their tasks, and the backfill survives restarts; docs/adr/0028-airflow-commands.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from devstack.airflow.client import AirflowClient, AirflowUnavailableError, quoted
from devstack.airflow.dags import find_dag_details
from devstack.airflow.runs import (
    MANY_TASKS_TIMEOUT,
    DagRun,
    get_run,
    list_runs_between,
    list_tasks,
    stop_run,
)
from devstack.airflow_settings import has_celery
from devstack.deployers.airflow.follow import (
    failure_of,
    find_endless_wait,
    find_failed_pod,
    succeeded,
)
from devstack.deployers.airflow.lookup import unknown_dag
from devstack.deployers.airflow.parameter_values import run_conf
from devstack.deployers.airflow.scheduler_pod import SchedulerPod
from devstack.deployers.base import Note
from devstack.deployers.following import OUTAGE_TIMEOUT
from devstack.deployers.names import shown
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.api_errors import ApiError, UnreachableError
from devstack.lifecycle.airflow_service import installation_settings
from devstack.stack import Stack
from devstack.waits import Failed

MAX_RUNS = 1000
"""Number of runs of one backfill: each is created with all of its tasks."""

POLL_INTERVAL = 2.0

DATE_KINDS = ("ds", "ts")
"""Values of a parameter that gets the run's date: the day, or date and time; as in Airflow."""

_USAGE = "devstack airflow backfill --param NAME=VALUE DAG --start DATE --end DATE"


@dataclass(frozen=True)
class BackfillOptions:
    """What to backfill.

    Attributes:
        start: the first logical date.
        end: the last logical date, inclusive.
        parameters: values by name, as typed by the user, for each run.
        date_parameters: names of parameters that get the run's date, with one of
            :data:`DATE_KINDS`.
        rerun_failed: run the failed tasks of failed runs again.
        dry_run: only report what would be done.
    """

    start: datetime
    end: datetime
    parameters: Mapping[str, str] = field(default_factory=dict)
    date_parameters: Mapping[str, str] = field(default_factory=dict)
    rerun_failed: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class BackfillRun:
    """A date of a backfill.

    Attributes:
        logical_date: the date, ISO 8601.
        dag_run_id: Airflow's id of its run; empty if there is none yet.
        action: ``create``, ``skip`` (its run exists) or ``rerun``.
        state: the run's state; empty if there is none yet.
    """

    logical_date: str
    dag_run_id: str
    action: str
    state: str


@dataclass(frozen=True)
class Backfill:
    """A backfill whose runs exist.

    Attributes:
        dag_id: the DAG.
        runs: its dates, in order.
        not_due: the first date whose interval has not ended; empty if there is none.
    """

    dag_id: str
    runs: Sequence[BackfillRun]
    not_due: str = ""

    @property
    def active(self) -> list[BackfillRun]:
        """The dates that this backfill runs."""
        return [run for run in self.runs if run.action != "skip"]


def backfill_dag(
    stack: Stack, client: AirflowClient, dag_id: str, options: BackfillOptions
) -> Backfill:
    """Create the runs of a DAG's schedule between two dates that do not exist.

    Args:
        stack: the stack.
        client: its Airflow.
        dag_id: the DAG.
        options: what to backfill.

    Raises:
        DevstackError: ``DAG_UNKNOWN``, ``DAG_PAUSED``, ``DAG_UNSCHEDULED``,
            ``PARAMETER_WRONG``, ``BACKFILL_DATES``, or those of :class:`SchedulerPod`.
    """
    if options.end < options.start:
        raise _dates_error("the end is before the start", "exchange --start and --end")
    conf = _checked_conf(client, dag_id, options)
    found = SchedulerPod(stack).run_program(
        "backfill",
        {
            "dag_id": dag_id,
            "start": options.start.isoformat(),
            "end": options.end.isoformat(),
            "conf": conf,
            "date_parameters": dict(options.date_parameters),
            "limit": MAX_RUNS,
            "dry_run": options.dry_run,
        },
        f"create the runs of {dag_id}",
    )
    if not found["scheduled"]:
        raise DevstackError(
            f"the DAG {dag_id} cannot be backfilled",
            cause="it has no schedule by time, so it has no dates",
            remedy=f"devstack airflow trigger {dag_id}, or deploy it with --schedule",
            code="DAG_UNSCHEDULED",
            exit_status=ExitStatus.USAGE,
        )
    if found.get("too_many"):
        cause = f"they include more than {MAX_RUNS} runs"
        raise _dates_error(cause, "backfill a part of them at a time")
    runs = [_planned(run, options) for run in found["runs"]]
    if not options.dry_run:
        for run in runs:
            if run.action == "rerun":
                _rerun(client, dag_id, run.dag_run_id)
    return Backfill(dag_id, runs, found["not_due"])


def follow_backfill(
    stack: Stack,
    client: AirflowClient,
    backfill: Backfill,
    note: Note,
    timeout: float | None = None,
) -> Backfill:
    """Wait until all runs of a backfill have ended; return it with their states.

    Args:
        stack: the stack.
        client: its Airflow.
        backfill: the backfill.
        note: shows the progress.
        timeout: maximum seconds to wait; unlimited if None.

    Raises:
        DevstackError: ``RUN_TIMEOUT``; ``RUN_FAILED`` or another reason of the first run
            that did not succeed.
    """
    follower = _Follower(stack, client, backfill, {run.dag_run_id for run in backfill.active})
    clock = stack.clock
    began = last_answer = clock.now()
    while not follower.ended:
        try:
            follower.observe()
            last_answer = clock.now()
        except (AirflowUnavailableError, ApiError, UnreachableError) as error:
            if clock.now() - last_answer > OUTAGE_TIMEOUT:
                raise
            note(str(error))
        if follower.ended:
            break
        note(follower.progress)
        if timeout is not None and clock.now() - began > timeout:
            raise _timeout_error(backfill.dag_id, follower.progress, timeout)
        clock.sleep(POLL_INTERVAL)
    return follower.finish()


@dataclass
class _Follower:
    """Follows the runs of one backfill.

    Attributes:
        stack: the stack.
        client: its Airflow.
        backfill: the backfill.
        waited: ids of the runs to wait for.
        runs: their last known states, by id.
        stopped: the error of the first run that was stopped, because its pod cannot start.
    """

    stack: Stack
    client: AirflowClient
    backfill: Backfill
    waited: set[str]
    runs: dict[str, DagRun] = field(default_factory=dict)
    stopped: DevstackError | None = None

    @property
    def ended(self) -> bool:
        """True if all runs have ended."""
        known = self.runs.values()
        return len(self.runs) == len(self.waited) and all(run.finished for run in known)

    @property
    def progress(self) -> str:
        """The number of runs in each state."""
        states = Counter(run.state for run in self.runs.values())
        return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))

    def observe(self) -> None:
        """Read the states; stop runs with a pod that cannot start, or a task that waits forever."""
        dates = [run.logical_date for run in self.backfill.active]
        found = list_runs_between(self.client, self.backfill.dag_id, dates[0], dates[-1])
        self.runs = {run.run_id: run for run in found if run.run_id in self.waited}
        if missing := self.waited - set(self.runs):
            raise _deleted_error(self.backfill.dag_id, sorted(missing))
        for run in self.runs.values():
            if failure := self._failure_of_running(run):
                stop_run(self.client, run)
                self.stopped = self.stopped or DevstackError(
                    f"run {run.run_id} of {run.dag_id} was stopped",
                    cause=failure.reason,
                    remedy=failure.remedy or f"devstack airflow logs {run.metaflow_id}",
                    code=failure.code,
                    exit_status=ExitStatus.FLOW_FAILED,
                    output=failure.output,
                )

    def _failure_of_running(self, run: DagRun) -> Failed | None:
        if run.state != "running":
            return None
        if found := find_failed_pod(self.stack, run):
            return found
        if not has_celery(installation_settings(self.stack)):
            return None
        return find_endless_wait(self.stack, list_tasks(self.client, run))

    def finish(self) -> Backfill:
        """Return the backfill with the runs' states, if all succeeded."""
        failed = [
            run
            for run in self.runs.values()
            if not succeeded(run, list_tasks(self.client, run) if run.state == "success" else [])
        ]
        if failed:
            raise self._failure(failed)
        states = {run.run_id: run.state for run in self.runs.values()}
        runs = [
            replace(run, state=states.get(run.dag_run_id, run.state)) for run in self.backfill.runs
        ]
        return replace(self.backfill, runs=runs)

    def _failure(self, failed: Sequence[DagRun]) -> DevstackError:
        error = self.stopped or failure_of(self.client, failed[0])
        backfill = self.backfill
        if len(self.runs) > 1:
            ids = shown([run.run_id for run in failed])
            error.message = f"{len(failed)} of {len(self.runs)} runs failed ({ids}): {error}"
            error.cause = ""
        first, last = backfill.runs[0].logical_date, backfill.runs[-1].logical_date
        error.remedy += (
            f"; then devstack airflow backfill {backfill.dag_id} --rerun-failed"
            f" --start {first} --end {last}"
        )
        return error


def _checked_conf(
    client: AirflowClient, dag_id: str, options: BackfillOptions
) -> dict[str, object]:
    """Return the configuration of each run, in the types of the flow's parameters."""
    details = find_dag_details(client, dag_id)
    if details is None:
        raise unknown_dag(client, dag_id)
    if details["is_paused"] and not options.dry_run:
        raise DevstackError(
            f"the DAG {dag_id} is paused",
            cause="Airflow would not start its runs",
            remedy="devstack airflow backfill --unpause, which also resumes its schedule",
            code="DAG_PAUSED",
        )
    run_conf(details, dict.fromkeys(options.date_parameters, "2026-01-01"), _USAGE)
    return run_conf(details, options.parameters, _USAGE)


def _planned(run: Mapping[str, str], options: BackfillOptions) -> BackfillRun:
    exists = run["run_id"] and not run["created"]
    action = "skip" if exists else "create"
    if exists and options.rerun_failed and run["state"] == "failed":
        action = "rerun"
    return BackfillRun(run["logical_date"], run["run_id"], action, run["state"])


def _rerun(client: AirflowClient, dag_id: str, run_id: str) -> None:
    """Clear a run's failed tasks, or all if it failed without a failed one."""
    body = {"dry_run": False, "dag_run_id": run_id, "only_failed": True, "reset_dag_runs": True}
    path = f"/dags/{quoted(dag_id)}/clearTaskInstances"
    if client.post(path, body, timeout=MANY_TASKS_TIMEOUT).get("task_instances"):
        return
    path = f"{get_run(client, dag_id, run_id).path}/clear"
    client.post(path, {"dry_run": False}, timeout=MANY_TASKS_TIMEOUT)


def parse_date(text: str) -> datetime:
    """Return a date or a time of ISO 8601; in UTC unless it has an offset.

    Raises:
        ValueError: it is neither.
    """
    found = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _dates_error(cause: str, remedy: str) -> DevstackError:
    return DevstackError(
        "cannot backfill these dates",
        cause=cause,
        remedy=remedy,
        code="BACKFILL_DATES",
        exit_status=ExitStatus.USAGE,
    )


def _deleted_error(dag_id: str, run_ids: Sequence[str]) -> DevstackError:
    return DevstackError(
        f"runs of {dag_id} were deleted while they were followed",
        cause=shown(run_ids),
        remedy="backfill them again",
        code="RUN_UNKNOWN",
    )


def _timeout_error(dag_id: str, progress: str, timeout: float) -> DevstackError:
    return DevstackError(
        f"the backfill of {dag_id} did not end within {timeout:.0f} s",
        cause=progress,
        remedy=f"it continues; see devstack airflow runs {dag_id}",
        code="RUN_TIMEOUT",
        exit_status=ExitStatus.TIMEOUT,
    )
