"""Schedules: cron expressions as users write them, and as Argo evaluates them.

Argo reads five fields with ``robfig/cron`` (``ParseStandard``): Sunday is 0 only, ranges run
forwards, and there are no ``L``, ``W`` and ``#``. Imported in the user's Python.
"""

from __future__ import annotations

from devstack.deployers.cron import Notation

PRESETS = {"hourly": "0 * * * *", "daily": "0 0 * * *", "weekly": "0 0 * * 0"}
"""As Metaflow's @schedule, without the seconds and the year of AWS."""

DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
"""Schedules that the parser knows by name."""

_NOTATION = Notation("Argo", "refuses it", last_weekday=6, special=False)


def argo_schedule(schedule: str) -> str:
    """Return a schedule as Argo evaluates it; empty for ``none``.

    Args:
        schedule: ``none``, one of :data:`PRESETS` or :data:`DESCRIPTORS`, or a cron expression of
            five fields, or of six in the notation of AWS, whose year is ``*``.

    Raises:
        ScheduleError: it is none of these.
    """
    if schedule in ("", "none"):
        return ""
    if schedule in DESCRIPTORS:
        return schedule
    return " ".join(_NOTATION.convert(PRESETS.get(schedule, schedule).split()))
