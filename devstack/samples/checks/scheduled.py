"""The scheduler started the run, and it succeeded."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from devstack.samples.checks.result import CheckResult, contains, same, within

RECENT_SECONDS = 900


def check(run: Any, tasks: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of scheduled."""
    data = run["end"].task.data
    ago = (datetime.now(timezone.utc) - data.now).total_seconds()
    started = run["start"].task.metadata_dict["airflow-dag-run-id"]
    return [
        same("the run succeeded", run.successful, True),
        contains("the scheduler started it", started, "scheduled__"),
        within("it recorded the current time", ago, 0, RECENT_SECONDS),
        contains("the log has the time", run["end"].task.stdout, "The scheduler called at"),
        same("both steps ran", [task["step"] for task in tasks], ["start", "end"]),
    ]
