"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MAX_LENGTH = 200
"""The maximum length of a value in a result."""


@dataclass(frozen=True)
class CheckResult:
    """A claim, whether it holds, and what was observed.

    Attributes:
        what: the claim, such as "each rank knows the total".
        ok: True if it holds.
        saw: the value observed instead; empty if it holds.
    """

    what: str
    ok: bool
    saw: str = ""


def same(what: str, value: Any, wanted: Any) -> CheckResult:
    """Return a result that ``value`` equals ``wanted``."""
    if value == wanted:
        return CheckResult(what, ok=True)
    return CheckResult(what, ok=False, saw=f"{_quoted(value)} instead of {_quoted(wanted)}")


def contains(what: str, text: str, wanted: str) -> CheckResult:
    """Return a result that ``text`` contains ``wanted``."""
    if wanted in text:
        return CheckResult(what, ok=True)
    return CheckResult(what, ok=False, saw=f"no {wanted!r} in {_quoted(text[-MAX_LENGTH:])}")


def within(what: str, value: float, minimum: float, maximum: float) -> CheckResult:
    """Return a result that ``minimum <= value <= maximum``."""
    if minimum <= value <= maximum:
        return CheckResult(what, ok=True)
    return CheckResult(what, ok=False, saw=f"{value:g}, not between {minimum:g} and {maximum:g}")


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}..."
