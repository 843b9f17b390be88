"""Schedules: cron expressions as users write them, and as Airflow evaluates them.

It takes a sixth field for seconds, and has notations of its own for some days of a month.
"""

from __future__ import annotations

from devstack.cron import SPECIAL_WEEKDAY, Notation, ScheduleError

PRESETS = {"hourly": "@hourly", "daily": "@daily", "weekly": "@weekly", "none": None}
"""Values of ``--schedule`` other than cron expressions."""

AIRFLOW_PRESETS = (
    *("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@quarterly", "@yearly"),
    *("@annually", "@once"),
)
"""Airflow's presets; ``@continuous`` needs a DAG that allows one run at a time."""

_NOTATION = Notation("Airflow", "would take the last for seconds", last_weekday=7, special=True)


def airflow_schedule(schedule: str) -> str | None:
    """Return a schedule as Airflow evaluates it.

    Args:
        schedule: one of :data:`PRESETS` or :data:`AIRFLOW_PRESETS`, or a cron expression of five
            fields, or of six in the notation of AWS, whose year is ``*``.

    Returns:
        a preset or a cron expression of five fields; None for no schedule.

    Raises:
        ScheduleError: it is none of these.
    """
    words = schedule.split()
    if len(words) == 1 and words[0].lower() in PRESETS:
        return PRESETS[words[0].lower()]
    if len(words) == 1 and words[0] in AIRFLOW_PRESETS:
        return words[0]
    if len(words) == 1 and words[0].startswith("@"):
        raise ScheduleError("Airflow has no such preset", f"use {', '.join(AIRFLOW_PRESETS)}")
    fields = _NOTATION.convert(words)
    _check_special_weekdays(fields)
    return " ".join(fields)


def _check_special_weekdays(words: list[str]) -> None:
    """Reject a month's first or last weekday beside other days, which Airflow cannot combine."""
    days, weekdays = words[2], words[4].split(",")
    special = [item for item in weekdays if SPECIAL_WEEKDAY.fullmatch(item)]
    if special and (days != "*" or len(special) < len(weekdays)):
        raise ScheduleError(f"Airflow cannot combine {special[0]!r} with other days")
