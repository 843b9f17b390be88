"""What this service does not support, by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


class UnsupportedError(Exception):
    """A pipeline, a run or a schedule has what this service does not support.

    Args:
        where: the task, component or parameter.
        what: the feature.
        remedy: what to use instead; empty if there is nothing.
    """

    def __init__(self, where: str, what: str, remedy: str = "") -> None:
        super().__init__(f"{where}: {what}" + (f"; {remedy}" if remedy else ""))


def require_only(where: str, values: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise an error if a message has a field with a value that is not among ``known``.

    Raises:
        UnsupportedError: it names the field.
    """
    for name, value in values.items():
        if name not in known and value not in (None, "", [], {}, False):
            raise UnsupportedError(where, f"{name} is not supported")
