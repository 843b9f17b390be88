"""A run of the backfill got the date that it has in Airflow, and computed with it."""

from __future__ import annotations

from datetime import date
from typing import Any

from devstack.samples.checks.result import CheckResult, contains, same


def check(run: Any, tasks: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of backfill."""
    data = run["end"].task.data
    started = run["start"].task.metadata_dict["airflow-dag-run-id"]
    # Such as backfill__2026-11-01T00:00:00+00:00.
    kind, _, when = started.partition("__")
    day = when.partition("T")[0]
    weekday = date.fromisoformat(day).strftime("%A") if kind == "backfill" else "that of its date"
    return [
        same("the run succeeded", run.successful, True),
        same("it is one of a backfill", kind, "backfill"),
        same("its Parameter is the date", str(data.date), day),
        same("the weekday is that of the date", data.weekday, weekday),
        contains("the log has it", run["end"].task.stdout, f"was a {weekday}"),
        same("both steps ran", [task["step"] for task in tasks], ["start", "end"]),
    ]
