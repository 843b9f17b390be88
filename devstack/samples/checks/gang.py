"""All ranks of the flow were there at the same time; when, its two runs tell together."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.finding import Finding, same


def check(run: Any, pods: list[dict[str, Any]]) -> list[Finding]:
    """Return what is to be said of one of the two runs of gang."""
    met = run["join"].task.data.met
    everybody = list(range(len(pods)))
    return [
        same("the run succeeded", run.successful, True),
        same("each pod was a rank", sorted(met), everybody),
        same("each rank met all others", [met[rank] for rank in everybody], [everybody] * len(met)),
        same("the pods were one JobSet's", len({pod["jobset"] for pod in pods}), 1),
    ]
