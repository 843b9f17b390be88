"""All ranks met; Argo's node of the step is a JobSet.

That the JobSet was scheduled as a gang is checked in the cluster (deployers/argo/gang_checks.py).
"""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.argo_nodes import states_of, steps_of
from devstack.samples.checks.result import CheckResult, contains, same

RANKS = [0, 1, 2]


def check(run: Any, tasks: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of argo-gang."""
    data = run["join"].task.data
    gangs = [task["jobset"] for task in tasks if task["jobset"]]
    return [
        same("the run succeeded", run.successful, True),
        same("each rank met all others", data.met, dict.fromkeys(RANKS, RANKS)),
        same("the ranks' JobSet is that of Argo's node", data.jobsets, gangs),
        same("Argo ran each step once", steps_of(tasks), ["end", "join", "meet", "start"]),
        contains("the log has it", run["end"].task.stdout, "3 ranks were there"),
        same("all tasks succeeded", states_of(tasks), {"succeeded"}),
    ]
