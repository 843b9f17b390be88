"""Checks as data: what each requires, and the cause and remedy if it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devstack.stack import Stack


@dataclass(frozen=True)
class Finding:
    """A problem that a check found.

    Attributes:
        cause: what is wrong, in one sentence.
        remedy: what to do about it.
        severity: "error" if the stack cannot work, "warning" if it might not.
        code: stable, upper case.
    """

    cause: str
    remedy: str
    code: str
    severity: str = "error"


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: short and stable, for JSON.
        description: the requirement.
        probe: checks once and returns the problems found.
        needs_stack: True if it requires a stack that is up.
    """

    name: str
    description: str
    probe: Callable[[Stack], list[Finding]]
    needs_stack: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """The result of a check: "ok", "error", "warning" or "skipped", and the findings."""

    check: Check
    state: str
    findings: list[Finding]


def run_checks(checks: Sequence[Check], stack: Stack) -> list[Diagnosis]:
    """Run all checks, those that need a stack only if it is up.

    An exception in a check becomes a finding, so that the others still run.
    """
    return [_run_check(check, stack) for check in checks]


def _run_check(check: Check, stack: Stack) -> Diagnosis:
    if check.needs_stack and not stack.is_up:
        return Diagnosis(check, "skipped", [])
    try:
        findings = check.probe(stack)
    except Exception as error:  # the other checks must run in any case
        remedy = str(getattr(error, "remedy", "")) or "report this as a bug"
        findings = [Finding(str(error), remedy, str(getattr(error, "code", "CHECK_FAILED")))]
    severities = {finding.severity for finding in findings}
    state = "error" if "error" in severities else "warning" if severities else "ok"
    return Diagnosis(check, state, findings)
