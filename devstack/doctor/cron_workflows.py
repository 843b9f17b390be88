"""Problems of Argo's cron workflows, which start the scheduled runs of two engines."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from devstack.cron import ScheduleError, argo_schedule
from devstack.doctor.check import Finding
from devstack.kube.client import Object
from devstack.kube.conditions import condition_of
from devstack.kube.workflows import CRON_LABEL, parse_workflow


@dataclass(frozen=True)
class ScheduleKind:
    """The schedules of an engine.

    Attributes:
        engine: as in ``devstack ENGINE deploy``.
        codes: the codes of a schedule that is invalid, one that could not start a run, and one
            whose last run failed.
        name_of: returns the deployment of a cron workflow.
        run_of: returns what the engine calls the run of a workflow.
    """

    engine: str
    codes: tuple[str, str, str]
    name_of: Callable[[Object], str]
    run_of: Callable[[Object], str]


def find_schedule_problems(
    kind: ScheduleKind,
    crons: Sequence[Object],
    workflows: Sequence[Object],
    templates: Sequence[Object] = (),
) -> Iterator[Finding]:
    """Yield the problem of each schedule that has one.

    Args:
        kind: the engine.
        crons: its cron workflows.
        workflows: all workflows.
        templates: all templates of workflows; none, if the schedules contain their workflows.
    """
    names = {template["metadata"]["name"] for template in templates}
    invalid, failed, run_failed = kind.codes
    deploy = f"devstack {kind.engine} deploy FLOW.py --schedule WHEN"
    for cron in crons:
        name = kind.name_of(cron)
        if message := _unusable(cron, names) or _problem(cron, "SpecError"):
            cause = f"the schedule of {name} is invalid, so it starts no run: {message}"
            yield Finding(cause, deploy, invalid)
        elif message := _problem(cron, "SubmissionError"):
            cause = f"the schedule of {name} could not start its last run: {message}"
            yield Finding(cause, f"{deploy}; or devstack {kind.engine} trigger {name}", failed)
        elif last := _last_failure(workflows, cron["metadata"]["name"]):
            run = parse_workflow(last)
            cause = f"the last run of the schedule of {name} failed: {run.message or run.state}"
            remedy = f"devstack {kind.engine} logs {kind.run_of(last)}"
            yield Finding(cause, remedy, run_failed, severity="warning")


def _unusable(cron: Object, templates: Collection[str]) -> str:
    """Return why Argo does not use a schedule, which it says in its log only."""
    spec = cron["spec"]
    try:
        for schedule in [*(spec.get("schedules") or []), *filter(None, [spec.get("schedule")])]:
            argo_schedule(schedule)
    except ScheduleError as error:
        return f"{schedule!r}: {error}"
    reference = (spec.get("workflowSpec") or {}).get("workflowTemplateRef") or {}
    name = reference.get("name")
    return f"its template {name} is missing" if name and name not in templates else ""


def _problem(cron: Object, kind: str) -> str:
    condition = condition_of(cron, kind)
    return str(condition.get("message") or kind) if condition.get("status") == "True" else ""


def _last_failure(workflows: Sequence[Object], cron: str) -> Object | None:
    """Return the last workflow that a schedule started, if it failed."""
    ours = [
        item
        for item in workflows
        if (item["metadata"].get("labels") or {}).get(CRON_LABEL) == cron
        and parse_workflow(item).finished
    ]
    last = max(ours, key=lambda item: str(item["metadata"]["creationTimestamp"]), default=None)
    return None if last is None or parse_workflow(last).state == "succeeded" else last
