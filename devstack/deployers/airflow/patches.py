"""What is set right in a DAG that Metaflow has compiled, before it is written.

Each is a fault of Metaflow's that was seen in runs, or something that its
command line cannot say.  The DAG is the dictionary that becomes ``CONFIG`` in
the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TIMEOUT_GRACE_SECONDS = 300
"""Airflow's limit covers the pod's start and end too; the step's own must strike first."""

FALLBACK_ATTEMPTS = 3
"""How often Metaflow tries to go on after @catch where the pod died; its runtime does as much."""

PRESETS = {"hourly": "@hourly", "daily": "@daily", "weekly": "@weekly", "none": None}
"""The words that ``--schedule`` takes beside a cron expression."""

NO_TIMEOUT_SECONDS = 5 * 24 * 3600
"""What Metaflow sets for a step without @timeout."""


@dataclass(frozen=True)
class DagOverrides:
    """What the user asked for, and Metaflow's own command line cannot say.

    Attributes:
        schedule: a cron expression or one of :data:`PRESETS`; the flow's own where empty.
        timeout: seconds that a run may take; no limit where None.
        project: what the flow's @project must be; anything where empty.
    """

    schedule: str = ""
    timeout: int | None = None
    project: str = ""


def mend(dag: dict[str, Any], catching: set[str], wanted: DagOverrides) -> None:
    """Set right what is wrong in a compiled DAG, in place.

    Args:
        dag: what becomes ``CONFIG``.
        catching: the steps with @catch.
        wanted: what the user asked for.
    """
    for state in dag["states"].values():
        if state["operator_type"] == "kubernetes":
            _mend_retries(state["operator_args"], state["name"] in catching)
            _mend_timeout(state["operator_args"])
    arguments = dag["dag_instantiation_params"]
    # A tuple is what click makes of options; Airflow's own type is a list.
    arguments["tags"] = list(arguments.get("tags") or [])
    if wanted.schedule:
        arguments["schedule_interval"] = PRESETS.get(wanted.schedule, wanted.schedule)
    if wanted.timeout is not None:
        arguments["dagrun_timeout"] = {"seconds": wanted.timeout}


def _mend_retries(task: dict[str, Any], catches: bool) -> None:
    """Give retries the delay that the flow asks for, and @catch its attempts to go on.

    Metaflow takes ``minutes_between_retries=0`` for "not given", and Airflow
    then waits 200 s.
    """
    if "retry_delay" not in task:
        task["retry_delay"] = {"seconds": 0}
    if catches:
        task["retries"] += FALLBACK_ATTEMPTS


def _mend_timeout(task: dict[str, Any]) -> None:
    """Let @timeout strike inside the pod, where @catch sees it, before Airflow ends the pod."""
    limit = task["execution_timeout"]
    if limit["seconds"] < NO_TIMEOUT_SECONDS:
        limit["seconds"] += TIMEOUT_GRACE_SECONDS
