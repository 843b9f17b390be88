"""Each number had its own task, and the join has all results."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.result import CheckResult, same


def check(run: Any, tasks: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of fanout."""
    data = run["end"].task.data
    mapped = sorted(task["index"] for task in tasks if task["step"] == "work")
    return [
        same("the run succeeded", run.successful, True),
        same("the join has all squares", data.squares, [1, 4, 9]),
        same("and their sum", data.total, 14),
        same("Metaflow has a task for each", len(list(run["work"])), 3),
        same("Airflow mapped a task for each", mapped, [0, 1, 2]),
        same("all tasks succeeded", {task["state"] for task in tasks}, {"success"}),
    ]
