"""Patches to the DAGs that Metaflow compiles, applied before they are written.

Each corrects a fault of Metaflow's that was observed in runs, or adds what its
command line cannot express. The DAG is the dictionary that becomes ``CONFIG`` in
the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TIMEOUT_GRACE_SECONDS = 300
"""Airflow's limit includes the pod's start and end, so it is longer than the step's @timeout."""

FALLBACK_ATTEMPTS = 3
"""Attempts that Metaflow's runtime adds for @catch after a pod has died."""

PRESETS = {"hourly": "@hourly", "daily": "@daily", "weekly": "@weekly", "none": None}
"""Values of ``--schedule`` other than cron expressions."""

NO_TIMEOUT_SECONDS = 5 * 24 * 3600
"""Metaflow's limit for a step without @timeout."""


@dataclass(frozen=True)
class DagOverrides:
    """Settings that Metaflow's command line does not have.

    Attributes:
        schedule: a cron expression or one of :data:`PRESETS`; the flow's @schedule if empty.
        timeout: maximum duration of a run in seconds; unlimited if None.
        project: the @project that the flow must have; any if empty.
    """

    schedule: str = ""
    timeout: int | None = None
    project: str = ""


def patch_dag(dag: dict[str, Any], catching: set[str], overrides: DagOverrides) -> None:
    """Patch a compiled DAG in place.

    Args:
        dag: what becomes ``CONFIG``.
        catching: the steps with @catch.
        overrides: the user's settings.
    """
    for state in dag["states"].values():
        if state["operator_type"] == "kubernetes":
            _patch_retries(state["operator_args"], state["name"] in catching)
            _patch_timeout(state["operator_args"])
    arguments = dag["dag_instantiation_params"]
    # click returns a tuple; Airflow expects a list.
    arguments["tags"] = list(arguments.get("tags") or [])
    if overrides.schedule:
        arguments["schedule_interval"] = PRESETS.get(overrides.schedule, overrides.schedule)
    if overrides.timeout is not None:
        arguments["dagrun_timeout"] = {"seconds": overrides.timeout}


def _patch_retries(task: dict[str, Any], catches: bool) -> None:
    """Set the retry delay of the flow, and the additional attempts of @catch.

    Metaflow omits ``minutes_between_retries=0``, and Airflow then waits 200 s.
    """
    if "retry_delay" not in task:
        task["retry_delay"] = {"seconds": 0}
    if catches:
        task["retries"] += FALLBACK_ATTEMPTS


def _patch_timeout(task: dict[str, Any]) -> None:
    """Let @timeout expire in the pod, where @catch handles it, before Airflow stops the pod."""
    limit = task["execution_timeout"]
    if limit["seconds"] < NO_TIMEOUT_SECONDS:
        limit["seconds"] += TIMEOUT_GRACE_SECONDS
