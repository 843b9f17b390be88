"""A check, as data: what is looked at, and what to do where it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devstack.stack import Stack


@dataclass(frozen=True)
class Finding:
    """Something wrong.

    Attributes:
        cause: what is wrong, in one sentence.
        remedy: what to do about it.
        severity: "error" where the stack cannot work, "warning" where it may not.
        code: stable, upper case.
    """

    cause: str
    remedy: str
    code: str
    severity: str = "error"


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong.

    Attributes:
        name: short and stable, for JSON.
        description: what must hold.
        probe: looks once; returns what is wrong, nothing where all is well.
        needs_stack: True where it can only be asked of a stack that is up.
    """

    name: str
    description: str
    probe: Callable[[Stack], list[Finding]]
    needs_stack: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """A check that was made: "ok", "error", "warning" or "skipped", and the findings."""

    check: Check
    state: str
    findings: list[Finding]


def run_checks(checks: Sequence[Check], stack: Stack) -> list[Diagnosis]:
    """Make every check, those that need a stack only where one is up.

    A check that itself fails counts as a finding: the doctor never gives up
    half-way.
    """
    return [_run_check(check, stack) for check in checks]


def _run_check(check: Check, stack: Stack) -> Diagnosis:
    if check.needs_stack and not stack.is_up:
        return Diagnosis(check, "skipped", [])
    try:
        findings = check.probe(stack)
    except Exception as error:  # whatever it is, the other checks must be made
        remedy = str(getattr(error, "remedy", "")) or "report this as a bug"
        findings = [Finding(str(error), remedy, str(getattr(error, "code", "CHECK_FAILED")))]
    severities = {finding.severity for finding in findings}
    state = "error" if "error" in severities else "warning" if severities else "ok"
    return Diagnosis(check, state, findings)
