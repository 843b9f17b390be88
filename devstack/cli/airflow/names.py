"""Errors for names that Airflow does not know."""

from __future__ import annotations

from collections.abc import Iterable

from devstack.errors import DevstackError, ExitStatus
from devstack.validation import closest_match


def unknown_name(kind: str, name: str, known: Iterable[str]) -> DevstackError:
    """Return the error for an unknown name, with the closest match.

    Args:
        kind: pool, connection or variable.
        name: what the user typed.
        known: the existing names.
    """
    names = sorted(known)
    closest = closest_match(name, names)
    listing = f"devstack airflow {kind}s list"
    return DevstackError(
        f"Airflow has no {kind} {name!r}",
        cause=f"it has {', '.join(names)}" if names else "it has none",
        remedy=f"did you mean {closest!r}? {listing}" if closest else listing,
        code=f"{kind.upper()}_UNKNOWN",
        exit_status=ExitStatus.USAGE,
    )
