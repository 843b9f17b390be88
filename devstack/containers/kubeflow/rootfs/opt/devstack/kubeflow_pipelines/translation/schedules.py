"""Cron expressions of Kubeflow, of six fields, as Argo's, of five."""

from __future__ import annotations

import re

from kubeflow_pipelines.translation.unsupported import UnsupportedError

_FIELDS = 6
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_ITEM = re.compile(r"(\*|\?|\w+(-\w+)?)(/[0-9]+)?", re.ASCII)
_SPECIAL = re.compile(r"[LW]|[0-9]+[LW]", re.IGNORECASE)
"""Kubeflow's last day and nearest weekday, which Argo does not have."""


def argo_cron(text: str) -> str:
    """Return a cron expression without the seconds, which come first in Kubeflow's.

    Args:
        text: seconds, minutes, hours, day of the month, month, weekday.

    Raises:
        UnsupportedError: it has another number of fields, or starts between full minutes.
    """
    where = f"cron expression {text!r}"
    fields = text.split()
    if len(fields) != _FIELDS:
        raise UnsupportedError(
            where,
            f"it has {len(fields)} fields",
            "the six are second, minute, hour, day, month, weekday",
        )
    if fields[0] != "0":
        raise UnsupportedError(where, "Argo starts runs at full minutes", "write 0 for the second")
    for item in (each for field in fields[1:] for each in field.split(",")):
        if not _ITEM.fullmatch(item) or _SPECIAL.fullmatch(item):
            raise UnsupportedError(
                where, f"Argo has no {item!r} in a schedule", "use numbers, names, ranges and steps"
            )
    return " ".join(fields[1:])


def interval_cron(seconds: str) -> str:
    """Return Kubeflow's cron expression of an interval that divides an hour or a day.

    Kubeflow's backend counts from the start of the recurring run, Argo from the full hour or day.

    Raises:
        UnsupportedError: it is no such interval.
    """
    length = int(seconds) if seconds.isdecimal() else 0
    if length and length % _MINUTE == 0 and _HOUR % length == 0:
        minutes = length // _MINUTE % 60
        return f"0 */{minutes} * * * *" if minutes else "0 0 * * * *"
    if length and length % _HOUR == 0 and _DAY % length == 0:
        hours = length // _HOUR % 24
        return f"0 0 */{hours} * * *" if hours else "0 0 0 * * *"
    raise UnsupportedError(
        "recurring run",
        f"an interval of {seconds} s",
        "use a cron expression, or an interval of full minutes that divides an hour or a day",
    )
