"""The intended step failed, and Metaflow recorded it."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.result import CheckResult, contains, same


def check(run: Any, pods: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of failure."""
    task = run["give_up"].task
    return [
        same("the run did not succeed", run.successful, False),
        same("no step came after it", sorted(step.id for step in run), ["give_up", "start"]),
        contains(
            "the log has the output of the step", task.stderr, "the fuel gauge reads 0 litres"
        ),
        contains("the log has the exception", task.stderr, "out of fuel, on purpose"),
        same("the pod failed", [pod["phase"] for pod in pods], ["Failed"]),
    ]
