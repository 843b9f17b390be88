"""Both branches ran, and the join has both results."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.result import CheckResult, same


def check(run: Any, tasks: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of branches."""
    steps = sorted(task["step"] for task in tasks)
    data = run["end"].task.data
    return [
        same("the run succeeded", run.successful, True),
        same("the join has both counts", data.counts, {"letters": 13, "words": 6}),
        same("artifacts that are equal in both are merged", data.text, "to be or not to be"),
        same("each step ran once", steps, ["end", "join", "letters", "start", "words"]),
        same("all tasks succeeded", {task["state"] for task in tasks}, {"success"}),
    ]
