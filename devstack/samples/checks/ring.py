"""Each of the eight ranks addressed its neighbours by name, and knows the sum."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.result import CheckResult, same

RANKS = range(8)


def check(run: Any, pods: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of ring."""
    data = run["join"].task.data
    neighbours = [data.neighbours[rank].partition(".")[0] for rank in sorted(data.neighbours)]
    return [
        same("the run succeeded", run.successful, True),
        same("there were eight ranks", sorted(data.totals), list(RANKS)),
        same("each knows the sum of all squares", set(data.totals.values()), {140}),
        same("each rank had a pod", len(set(data.pods.values())), 8),
        same("each rank addresses the next by name", neighbours[:-1], _others(data.pods)),
        same("and the last rank the first", neighbours[-1], _short(data.pods[0])),
        same("the pods were one JobSet's", len({pod["jobset"] for pod in pods}), 1),
        same("eight pods ran", len(pods), 8),
    ]


def _others(pods: dict[int, str]) -> list[str]:
    return [_short(pods[rank]) for rank in sorted(pods) if rank > 0]


def _short(name: str) -> str:
    return name.partition(".")[0]
