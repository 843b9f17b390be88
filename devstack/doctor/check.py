"""Checks as data: what each requires, and the cause and remedy if it fails.

All run at once, each with a deadline, so that one that hangs delays nothing for long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from devstack.kube.api_errors import UnreachableError
from devstack.parallel import belong
from devstack.stack import Stack

DEADLINE = 20.0
"""Seconds for all checks together: two or three suffice unless the machine is busy."""

REQUEST_TIMEOUT = 5.0
"""Seconds for one request of a check, so that its own error comes before the deadline."""

GRACE = 1.5
"""Seconds in which checks that are too late end the programs that they run."""

API_DOWN = "API_DOWN"
TOO_LATE = "CHECK_TIMEOUT"
BY_DEGREE = "error or warning"
"""The severity of a fault that may be slight."""

NO_STACK = "there is no stack that is up"
"""Why most checks are skipped before `devstack up`."""


class NotApplicableError(Exception):
    """A check that cannot be made, or means nothing, on this machine or stack; with the reason."""


@dataclass(frozen=True)
class Finding:
    """A problem that a check found.

    Attributes:
        cause: what is wrong, in one sentence.
        remedy: what to do about it.
        code: stable, upper case.
        severity: "error" if the stack cannot work, "warning" if it might not.
    """

    cause: str
    remedy: str
    code: str
    severity: str = "error"


@dataclass(frozen=True)
class Fault:
    """A problem that a check knows, for the documentation.

    Attributes:
        code: the code of its findings.
        meaning: what it means for a user.
        remedy: what to do about it.
        severity: "error", "warning", or :data:`BY_DEGREE`.
    """

    code: str
    meaning: str
    remedy: str
    severity: str = "error"


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: short and stable, for JSON.
        description: the requirement.
        probe: checks once and returns the problems found; raises :class:`NotApplicableError`
            if there is nothing to check.
        faults: the problems that it knows; it may also repeat the code of an error.
        needs_stack: True if it requires a stack that is up.
        is_vital: True if nothing works while it does not end.
    """

    name: str
    description: str
    probe: Callable[[Stack], list[Finding]]
    faults: tuple[Fault, ...] = ()
    needs_stack: bool = False
    is_vital: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """The result of a check.

    Attributes:
        check: the check.
        state: "ok", "error", "warning" or "skipped".
        findings: the problems that it found.
        reason: why it was skipped.
        seconds: how long it took.
    """

    check: Check
    state: str
    findings: list[Finding] = field(default_factory=list)
    reason: str = ""
    seconds: float = 0.0


def run_checks(
    checks: Sequence[Check], stack: Stack, deadline: float = DEADLINE
) -> list[Diagnosis]:
    """Run all checks at once, those that need a stack only if it is up.

    An exception in a check becomes a finding, so that the others still count. One that an
    earlier check in the table reports, too, is not repeated: the check is skipped.

    Args:
        checks: the checks.
        stack: what they examine.
        deadline: seconds until a check that has not ended times out.
    """
    # Once, before several threads need them.
    _ = stack.provider, stack.images
    started = time.monotonic()
    stop = threading.Event()
    results: dict[str, Diagnosis | Exception] = {}
    threads = [_start(check, stack, stop, results) for check in checks]
    try:
        _join(threads, started + deadline)
        finished = dict(results)
    finally:
        # Programs that late checks have started end when their threads notice it.
        stop.set()
        _join(threads, time.monotonic() + GRACE)
    return _collect(checks, finished, deadline)


def _join(threads: Sequence[threading.Thread], until: float) -> None:
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


def _start(
    check: Check, stack: Stack, stop: threading.Event, results: dict[str, Diagnosis | Exception]
) -> threading.Thread:
    def act() -> None:
        belong(stop)
        try:
            results[check.name] = _run_check(check, stack)
        except KeyboardInterrupt:
            return  # it was too late
        except Exception as error:  # the other checks must run in any case
            results[check.name] = error

    # A daemon, so that one that hangs does not keep the process from ending.
    thread = threading.Thread(target=act, name=f"check-{check.name}", daemon=True)
    thread.start()
    return thread


def _run_check(check: Check, stack: Stack) -> Diagnosis:
    if check.needs_stack and not stack.is_up:
        return Diagnosis(check, "skipped", reason=NO_STACK)
    started = time.monotonic()
    try:
        findings = check.probe(stack)
    except NotApplicableError as reason:
        return Diagnosis(check, "skipped", reason=str(reason))
    return _diagnosis(check, findings, time.monotonic() - started)


def _diagnosis(check: Check, findings: list[Finding], seconds: float = 0.0) -> Diagnosis:
    severities = {finding.severity for finding in findings}
    state = "error" if "error" in severities else "warning" if severities else "ok"
    return Diagnosis(check, state, findings, seconds=seconds)


def _collect(
    checks: Sequence[Check], results: dict[str, Diagnosis | Exception], deadline: float
) -> list[Diagnosis]:
    """Return the diagnoses in the order of the table; what several checks meet, once."""
    codes = {
        finding.code
        for result in results.values()
        if isinstance(result, Diagnosis)
        for finding in result.findings
    }
    late = [check for check in checks if check.name not in results]
    diagnoses = []
    for check in checks:
        result = results.get(check.name)
        if isinstance(result, Diagnosis):
            diagnoses.append(result)
        elif check in late[:1]:
            diagnoses.append(_diagnosis(check, [_too_late(late, deadline)], deadline))
        elif result is None:
            diagnoses.append(Diagnosis(check, "skipped", reason="it did not end in time, either"))
        elif API_DOWN in codes and isinstance(result, UnreachableError):
            diagnoses.append(Diagnosis(check, "skipped", reason="the API does not respond"))
        elif (finding := _of_exception(result)).code in codes:
            diagnoses.append(Diagnosis(check, "skipped", reason=finding.cause))
        else:
            if finding.code != "CHECK_FAILED":
                codes.add(finding.code)
            diagnoses.append(_diagnosis(check, [finding]))
    return diagnoses


def _of_exception(error: Exception) -> Finding:
    remedy = str(getattr(error, "remedy", "")) or "report this as a bug"
    return Finding(str(error), remedy, str(getattr(error, "code", "CHECK_FAILED")))


def _too_late(late: Sequence[Check], deadline: float) -> Finding:
    names = ", ".join(check.name for check in late)
    severity = "error" if any(check.is_vital for check in late) else "warning"
    return Finding(
        f"not examined within {deadline:.0f} s: {names}",
        "correct what else is reported; if nothing is, restart the container engine",
        TOO_LATE,
        severity,
    )
