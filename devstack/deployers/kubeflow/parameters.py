"""Values of a flow's Parameters, as a pipeline's run gets them: JSON of their type.

This module is imported in the user's Python. The pipelines API refuses values that a pod would get
changed; here is what needs the user's text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from devstack.deployers.errors import parameter_wrong

KINDS = {"integer": "NUMBER_INTEGER", "number": "NUMBER_DOUBLE", "boolean": "BOOLEAN"}
"""Types of the IR by the kind of a parameter; all others are texts."""

_WORDS = {
    **dict.fromkeys(("true", "t", "1", "yes", "y", "on"), True),
    **dict.fromkeys(("false", "f", "0", "no", "n", "off"), False),
}
"""The words of Metaflow's command line for a bool."""


def convert_values(
    kinds: Mapping[str, str], values: Mapping[str, str], usage: str
) -> dict[str, Any]:
    """Return values as JSON.

    Args:
        kinds: types of the IR by the names of the parameters.
        values: values by name, as typed by the user.
        usage: the command with which the user gives a value.

    Raises:
        DevstackError: ``PARAMETER_WRONG``.
    """
    found = {}
    for name, text in values.items():
        if name not in kinds:
            names = ", ".join(sorted(kinds)) or "none"
            raise parameter_wrong(name, f"the flow has no such parameter; it has {names}", usage)
        try:
            found[name] = _CONVERTERS.get(kinds[name], str)(text)
        except ValueError as error:
            cause = f"{text[:80]!r} cannot be a value of type {kinds[name]}: {error}"
            raise parameter_wrong(name, cause, usage) from None
    return found


def _double(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("JSON has no such number")
    return number


def _boolean(text: str) -> bool:
    if text.lower() not in _WORDS:
        raise ValueError(f"it is none of {', '.join(_WORDS)}")
    return _WORDS[text.lower()]


_CONVERTERS: Mapping[str, Callable[[str], Any]] = {
    "NUMBER_INTEGER": int,
    "NUMBER_DOUBLE": _double,
    "BOOLEAN": _boolean,
    "LIST": json.loads,
    "STRUCT": json.loads,
}
