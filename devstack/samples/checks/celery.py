"""Each task was executed once, by a Celery worker."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.result import CheckResult, contains, same

WORKER = "airflow-worker"
"""Start of the workers' host names: pods of the StatefulSet of this name."""


def check(run: Any, tasks: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of celery."""
    elsewhere = [task["step"] for task in tasks if not task["worker"].startswith(WORKER)]
    return [
        same("the run succeeded", run.successful, True),
        same("the sum is right", run["end"].task.data.total, 100),
        contains("the log has it", run["end"].task.stdout, "add up to 100"),
        same("Metaflow has a task for each", len(list(run["work"])), 4),
        same("no task was executed outside of the workers", elsewhere, []),
        same("each task was executed once", {task["attempts"] for task in tasks}, {1}),
    ]
