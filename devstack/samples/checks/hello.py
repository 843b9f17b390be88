"""The greeting was created in a pod, and is on this machine."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.result import CheckResult, same


def check(run: Any, pods: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of hello."""
    data = run["end"].task.data
    return [
        same("the run succeeded", run.successful, True),
        same("the greeting is an artifact", data.greeting, "Hello, world!"),
        same("start ran on this machine", data.started_in_pod, False),
        same("greet ran in the cluster", data.greeted_in_pod, True),
        same("the pod is the one that ran", [data.pod], [pod["name"] for pod in pods]),
    ]
