"""Each join has the results of its own items."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.argo_nodes import states_of
from devstack.samples.checks.result import CheckResult, same


def check(run: Any, tasks: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of argo-fanout."""
    shops = sorted(tuple(task["items"]) for task in tasks if task["step"] == "shop")
    return [
        same("the run succeeded", run.successful, True),
        same("the joins have all sales", run["end"].task.data.totals, {"north": 14, "south": 10}),
        same("Metaflow has a task for each shop", len(list(run["shop"])), 3),
        same("Argo has a pod for each item of each list", shops, [(0, 0), (0, 1), (1, 0)]),
        same("all tasks succeeded", states_of(tasks), {"succeeded"}),
    ]
