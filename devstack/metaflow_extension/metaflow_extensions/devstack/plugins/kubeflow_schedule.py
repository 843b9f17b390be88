"""Schedules of flows in the dialect of Kubeflow Pipelines: six fields, the seconds first.

``@schedule(cron=...)`` is in AWS's dialect (minute, hour, day, month, weekday, year), or has the
five fields of Unix. metaflow-kubeflow passes it unchanged, so that ``0 10 * * ? *``, at ten
o'clock, would become ten past every hour. AWS requires a ``?`` for the day or the weekday, which
are the third and the fifth field; in six fields that begin with seconds, these are hour and month,
for which ``?`` has no meaning. So a text of six fields has one reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metaflow.exception import MetaflowException

_PRESETS = {"weekly": "0 0 0 ? * SUN", "hourly": "0 0 * * * ?", "daily": "0 0 0 * * ?"}
"""As the package writes them."""

_UNIX, _SIX = 5, 6
_DAY_IN_AWS, _WEEKDAY_IN_AWS, _YEAR_IN_AWS = 2, 4, 5


def kubeflow_cron(schedules: Sequence[Any] | None) -> str | None:
    """Return the cron expression of a flow; None without a schedule.

    Args:
        schedules: the flow's decorators ``@schedule``.

    Raises:
        MetaflowException: the schedule has a year, or another number of fields.
    """
    if not schedules:
        return None
    attributes = schedules[0].attributes
    if attributes.get("cron"):
        return convert_cron(str(attributes["cron"]))
    return next((cron for name, cron in _PRESETS.items() if attributes.get(name)), None)


def convert_cron(text: str) -> str:
    """Return a cron expression of ``@schedule`` with six fields, the seconds first.

    Raises:
        MetaflowException: it has a year, or another number of fields.
    """
    fields = text.split()
    if len(fields) == _UNIX:
        return " ".join(["0", *fields])
    if len(fields) != _SIX:
        raise MetaflowException(
            f"@schedule(cron={text!r}) has {len(fields)} fields; "
            "use minute, hour, day, month, weekday"
        )
    if "?" not in (fields[_DAY_IN_AWS], fields[_WEEKDAY_IN_AWS]):
        return text
    if fields[_YEAR_IN_AWS] not in ("*", "?"):
        raise MetaflowException(
            f"@schedule(cron={text!r}) has a year, which Kubeflow Pipelines does not know; "
            "use * instead"
        )
    return " ".join(["0", *_without_aws_weekdays(text, fields[:_YEAR_IN_AWS])])


def _without_aws_weekdays(text: str, fields: list[str]) -> list[str]:
    """Return fields in which weekdays by number, which AWS counts from 1, are refused."""
    if any(each.isdigit() for each in fields[_WEEKDAY_IN_AWS]):
        raise MetaflowException(
            f"@schedule(cron={text!r}) has a weekday as a number: 1 is Sunday for AWS, "
            "Monday elsewhere; use names, such as MON-FRI"
        )
    return fields
