"""The variables were set, and the secret reached the pod and nothing else."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.result import CheckResult, same, within


def check(run: Any, pods: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of settings."""
    data = run["end"].task.data
    return [
        same("the run succeeded", run.successful, True),
        same("@environment set the variables", (data.mode, data.level), ("lesson", 3)),
        within("the token has a length", data.token_length, 16, 256),
        same("the token is the Secret's", data.token_sha256, data.expected_sha256),
        same("the token stayed in the pod", data.token_here, False),
        same("a pod read it", [pod["step"] for pod in pods], ["start"]),
    ]
