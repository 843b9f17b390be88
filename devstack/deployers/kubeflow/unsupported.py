"""What `devstack kubeflow deploy` refuses besides the limits of metaflow-kubeflow.

The latter are in ``kubeflow_checks.py`` of devstack's Metaflow extension, which
`python flow.py kubeflow-pipelines create` uses, too. Imported in the user's Python.
"""

from __future__ import annotations

from collections.abc import Iterator

from devstack.cron import ScheduleError
from devstack.deployers.checks import check_datastore, check_project
from devstack.deployers.flow_description import FlowDescription
from devstack.deployers.kubeflow.schedule import kubeflow_schedule
from devstack.deployers.unsupported import Violation


def find_violations(
    flow: FlowDescription, project: str = "", schedule: str = ""
) -> list[Violation]:
    """Return what cannot be used.

    Args:
        flow: the flow.
        project: the option ``--project``; empty without one.
        schedule: the option ``--schedule``, or the flow's @schedule as its author wrote it; empty
            if it has none.
    """
    return [*check_project(flow, project), *check_datastore(flow), *_check_schedule(schedule)]


def _check_schedule(schedule: str) -> Iterator[Violation]:
    try:
        kubeflow_schedule(schedule)
    except ScheduleError as error:
        yield Violation("@schedule", repr(schedule), str(error), error.instead)
