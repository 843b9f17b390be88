"""The first attempt failed and the second did not; the task that always fails was caught."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.result import CheckResult, contains, same


def check(run: Any, tasks: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of flaky."""
    from metaflow import Task

    data = run["end"].task.data
    first = Task(run["start"].task.pathspec, attempt=0).stderr
    attempts = {task["step"]: task["attempts"] for task in tasks}
    return [
        same("the run succeeded", run.successful, True),
        same("the second attempt succeeded", data.attempt, 1),
        contains("the first attempt failed", first, "the first attempt fails, on purpose"),
        contains("@catch stored the reason", data.reason, "this is not a number, on purpose"),
        same("Airflow tried start again", attempts, {"start": 2, "always_fails": 1, "end": 1}),
    ]
