"""Each of the three ranks has its own pod, and knows the sum."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.result import CheckResult, same


def check(run: Any, pods: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of parallel."""
    accounts = run["join"].task.data.accounts
    ranks = sorted(accounts)
    return [
        same("the run succeeded", run.successful, True),
        same("there were three ranks", ranks, [0, 1, 2]),
        same("each rank added its number", [accounts[r]["number"] for r in ranks], [1, 10, 100]),
        same(
            "the sum went from rank to rank",
            [accounts[r]["passed_on"] for r in ranks],
            [1, 11, 111],
        ),
        same("each rank knows the total", [accounts[r]["total"] for r in ranks], [111] * 3),
        same("each rank had a pod", len({accounts[r]["pod"] for r in ranks}), 3),
        same("each pod had an address", len({accounts[r]["address"] for r in ranks}), 3),
        same("the pods were one JobSet's", len({pod["jobset"] for pod in pods}), 1),
        same("the JobSet has a name", all(pod["jobset"] for pod in pods), True),
        same("three pods ran", len(pods), 3),
    ]
