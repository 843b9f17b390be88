"""A recurring run started the run, and it succeeded."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from devstack.samples.checks.result import CheckResult, contains, same, within

RECENT_SECONDS = 900


def check(run: Any, tasks: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of kubeflow-scheduled."""
    data = run["end"].task.data
    ago = (datetime.now(timezone.utc) - data.now).total_seconds()
    return [
        same("the run succeeded", run.successful, True),
        within("it recorded the current time", ago, 0, RECENT_SECONDS),
        contains("the log has the time", run["end"].task.stdout, "The recurring run called at"),
        same("both steps ran", sorted(task["step"] for task in tasks), ["end", "start"]),
    ]
