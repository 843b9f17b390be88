"""Three items: one plain, one that needed a second attempt, one that always failed."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.result import CheckResult, contains, same


def check(run: Any, pods: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of foreach."""
    data = run["join"].task.data
    return [
        same("the run succeeded", run.successful, True),
        same("join has the results", data.results, {"plain": 25, "flaky": 25}),
        same("the retries happened", data.attempts, {"plain": 0, "flaky": 1, "always_fails": 1}),
        same("only always_fails failed at every attempt", list(data.failures), ["always_fails"]),
        contains(
            "@catch stored the exception", data.failures.get("always_fails", ""), "ValueError"
        ),
        *_first_attempt(run),
        *_in_the_cluster(pods),
    ]


def _first_attempt(run: Any) -> list[CheckResult]:
    from metaflow import Task

    flaky = next(task for task in run["work"] if task.data.item == "flaky")
    log = Task(flaky.pathspec, attempt=0).stderr
    return [contains("the first attempt of flaky failed", log, "flaky fails at its first attempt")]


def _in_the_cluster(pods: list[dict[str, Any]]) -> list[CheckResult]:
    attempts = sorted(pod["attempt"] for pod in pods if pod["step"] == "work")
    return [
        same("each attempt had a pod", attempts, [0, 0, 0, 1, 1]),
        same("@resources reached the pods", {pod["cpu"] for pod in pods}, {"200m"}),
        same("@timeout reached the pods", {pod["deadline_seconds"] for pod in pods}, {120}),
    ]
