"""All ranks of the flow ran at the same time; flows/concurrent_runs.py checks when."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.result import CheckResult, same


def check(run: Any, pods: list[dict[str, Any]]) -> list[CheckResult]:
    """Check one of the two runs of gang."""
    met = run["join"].task.data.met
    ranks = list(range(len(pods)))
    return [
        same("the run succeeded", run.successful, True),
        same("each pod was a rank", sorted(met), ranks),
        same(
            "each rank connected with all others", [met[rank] for rank in ranks], [ranks] * len(met)
        ),
        same("the pods belong to one JobSet", len({pod["jobset"] for pod in pods}), 1),
    ]
