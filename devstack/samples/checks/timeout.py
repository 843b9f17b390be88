"""The step was stopped after a minute, and the flow continued."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.result import CheckResult, same, within


def check(run: Any, pods: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of timeout."""
    data = run["end"].task.data
    slow = [pod for pod in pods if pod["step"] == "sleep"]
    return [
        same("the run succeeded", run.successful, True),
        same("the step did not finish", data.finished, False),
        same("@catch stored a reason", bool(data.reason), True),
        same("one pod ran it", len(slow), 1),
        *(within("the pod ran about a minute", pod["seconds"], 55, 100) for pod in slow),
    ]
