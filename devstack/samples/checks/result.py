"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LONGEST = 200
"""The maximum length of a value in a result."""


@dataclass(frozen=True)
class CheckResult:
    """A claim, whether it holds, and what was observed.

    Attributes:
        what: the claim, such as "each rank knows the total".
        ok: True if it holds.
        saw: what was observed instead; empty if it holds.
    """

    what: str
    ok: bool
    saw: str = ""


def same(what: str, seen: Any, wanted: Any) -> CheckResult:
    """Return a result that ``seen`` equals ``wanted``."""
    if seen == wanted:
        return CheckResult(what, ok=True)
    return CheckResult(what, ok=False, saw=f"{_quoted(seen)} instead of {_quoted(wanted)}")


def contains(what: str, text: str, wanted: str) -> CheckResult:
    """Return a result that ``text`` contains ``wanted``."""
    if wanted in text:
        return CheckResult(what, ok=True)
    return CheckResult(what, ok=False, saw=f"no {wanted!r} in {_quoted(text[-LONGEST:])}")


def within(what: str, seen: float, least: float, most: float) -> CheckResult:
    """Return a result that ``least <= seen <= most``."""
    if least <= seen <= most:
        return CheckResult(what, ok=True)
    return CheckResult(what, ok=False, saw=f"{seen:g}, not between {least:g} and {most:g}")


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
