"""The run was started by the end of the other flow, and read its number."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.argo_nodes import states_of, steps_of
from devstack.samples.checks.result import CheckResult, contains, same


def check(run: Any, tasks: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of argo-events."""
    data = run["end"].task.data
    return [
        same("the run succeeded", run.successful, True),
        contains("the other flow's end started it", data.source, "ArgoEventsSourceFlow/argo-"),
        same("it has the other run's number", data.number, 42),
        same("Argo ran each step once", steps_of(tasks), ["end", "start"]),
        same("all tasks succeeded", states_of(tasks), {"succeeded"}),
    ]
