"""Each join has the results of its own items."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.result import CheckResult, same


def check(run: Any, tasks: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of kubeflow-fanout."""
    shelves = sorted(tuple(task["items"]) for task in tasks if task["step"] == "shelf")
    return [
        same("the run succeeded", run.successful, True),
        same("the joins have all books", run["end"].task.data.books, {"poetry": 19, "maps": 3}),
        same("Metaflow has a task for each shelf", len(list(run["shelf"])), 3),
        same("Argo has a pod for each item of each list", shelves, [(0, 0), (0, 1), (1, 0)]),
        same("all tasks succeeded", {task["state"] for task in tasks}, {"succeeded"}),
    ]
