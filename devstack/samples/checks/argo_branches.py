"""One branch led back, then the second one was taken; the third had no pod."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.argo_nodes import states_of, steps_of
from devstack.samples.checks.result import CheckResult, same

STEPS = ["end", "halve", "halve", "start", "tell"]


def check(run: Any, tasks: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of argo-branches."""
    data = run["end"].task.data
    return [
        same("the run succeeded", run.successful, True),
        same("the result is the odd part", data.result, 3),
        same("the loop ran twice", data.halved, 2),
        same("Argo ran what was selected, and nothing else", steps_of(tasks), STEPS),
        same("all tasks succeeded", states_of(tasks), {"succeeded"}),
    ]
