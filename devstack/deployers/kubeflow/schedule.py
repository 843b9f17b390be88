"""Schedules: cron expressions as users write them, and as Kubeflow Pipelines evaluates them.

Those of Kubeflow have six fields, the seconds first. The stack's Argo evaluates the other five, so
they are checked as for Argo. The notation of AWS has six fields, too, with the year last; it
requires a ``?`` in its third or fifth field, where Kubeflow's has the hour or the month, for which
``?`` has no meaning. Imported in the user's Python.
"""

from __future__ import annotations

from devstack.cron import Notation, ScheduleError

PRESETS = {"hourly": "0 0 * * * ?", "daily": "0 0 0 * * ?", "weekly": "0 0 0 ? * SUN"}
"""As metaflow-kubeflow writes Metaflow's @schedule."""

_NOTATION = Notation("Kubeflow", "has the seconds first", last_weekday=6, special=False)
_SIX = 6
_DAY_IN_AWS, _WEEKDAY_IN_AWS = 2, 4


def kubeflow_schedule(schedule: str) -> str:
    """Return a schedule with six fields, the seconds first; empty for ``none``.

    Args:
        schedule: ``none``, one of :data:`PRESETS`, or a cron expression of five fields, or of six
            in the notation of AWS, whose year is ``*``, or of Kubeflow, whose seconds are 0.

    Raises:
        ScheduleError: it is none of these.
    """
    if schedule in ("", "none"):
        return ""
    if schedule in PRESETS:
        return PRESETS[schedule]
    words = schedule.split()
    if len(words) == _SIX and "?" not in (words[_DAY_IN_AWS], words[_WEEKDAY_IN_AWS]):
        seconds, *words = words
        if seconds != "0":
            raise ScheduleError(
                f"its first field, the seconds, is {seconds!r}; runs start at full minutes",
                "write 0 for the seconds, or five fields",
            )
    return " ".join(["0", *_NOTATION.convert(words)])
