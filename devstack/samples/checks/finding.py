"""One thing that a check looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LONGEST = 200
"""Characters of a value that a finding quotes."""


@dataclass(frozen=True)
class Finding:
    """What was looked at, whether it was as it should be, and what was seen.

    Attributes:
        what: the claim, such as "each rank knows the total".
        ok: True where it holds.
        saw: what was seen instead, or nothing where it holds.
    """

    what: str
    ok: bool
    saw: str = ""


def same(what: str, seen: Any, wanted: Any) -> Finding:
    """Return a finding that ``seen`` equals ``wanted``."""
    if seen == wanted:
        return Finding(what, ok=True)
    return Finding(what, ok=False, saw=f"{_quoted(seen)} instead of {_quoted(wanted)}")


def contains(what: str, text: str, wanted: str) -> Finding:
    """Return a finding that ``wanted`` stands in ``text``."""
    if wanted in text:
        return Finding(what, ok=True)
    return Finding(what, ok=False, saw=f"no {wanted!r} in {_quoted(text[-LONGEST:])}")


def within(what: str, seen: float, least: float, most: float) -> Finding:
    """Return a finding that ``least <= seen <= most``."""
    if least <= seen <= most:
        return Finding(what, ok=True)
    return Finding(what, ok=False, saw=f"{seen:g}, not between {least:g} and {most:g}")


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
