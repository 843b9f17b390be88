"""The result of one test, and the table of all results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PASSED, FAILED, SKIPPED, XFAILED = "passed", "failed", "skipped", "xfailed"
MOST_NAMES = 8
"""How many tests a row names, but for failures."""


@dataclass(frozen=True)
class Result:
    """One test.

    Attributes:
        suite: its suite.
        test: its name.
        outcome: ``PASSED``, ``FAILED``, ``SKIPPED``; ``XFAILED`` if the suite expects the failure.
        reason: why it was not passed.
        seconds: how long it took; 0 if it did not run.
    """

    suite: str
    test: str
    outcome: str
    reason: str = ""
    seconds: float = 0


def build_table(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table, and what did not pass, by reason."""
    lines = ["| suite | tests | passed | failed | skipped | xfailed | minutes |"]
    lines.append("|---|---|---|---|---|---|---|")
    for suite in dict.fromkeys(each.suite for each in results):
        ours = [each for each in results if each.suite == suite]
        outcomes = [each.outcome for each in ours]
        counts = [outcomes.count(each) for each in (PASSED, FAILED, SKIPPED, XFAILED)]
        minutes = f"{sum(each.seconds for each in ours) / 60:.1f}"
        lines.append("| " + " | ".join(map(str, (suite, len(ours), *counts, minutes))) + " |")
    rows = list(_rows(results))
    if rows:
        lines += ["", "| suite | outcome | tests | reason |", "|---|---|---|---|", *rows]
    return "\n".join(lines)


def _rows(results: Sequence[Result]) -> Iterator[str]:
    """Yield a row for each suite, outcome and reason of tests that did not pass."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for outcome in (FAILED, SKIPPED, XFAILED):
        for each in results:
            if each.outcome == outcome:
                groups.setdefault((each.suite, outcome, each.reason), []).append(each.test)
    for (suite, outcome, reason), tests in groups.items():
        most = len(tests) if outcome == FAILED else MOST_NAMES
        names = ", ".join(f"`{test}`" for test in tests[:most])
        names += ", ..." if len(tests) > most else ""
        count = f"{len(tests)}: " if len(tests) > 1 else ""
        text = reason.replace("|", "\\|")
        yield f"| {suite} | {outcome} | {count}{names} | {text} |"


def first_lines(text: str) -> str:
    """Return the beginning of a text, in one line."""
    return " ".join(text.split())[:300]


def last_lines(output: str) -> str:
    """Return the last lines of an output, in one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return " / ".join(lines[-3:])[-300:]
