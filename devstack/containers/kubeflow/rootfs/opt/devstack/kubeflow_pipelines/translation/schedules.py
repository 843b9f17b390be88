"""Cron expressions of Kubeflow, of six fields, as Argo's, of five."""

from __future__ import annotations

from kubeflow_pipelines.translation.unsupported import UnsupportedError

_FIELDS = 6


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
    return " ".join(fields[1:])
