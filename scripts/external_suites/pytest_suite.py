"""Suites that pytest runs: list their tests, run each in a process of its own, read the report.

A process for each test, because a suite may take hours: what is done is known when it is
interrupted, and a test that hangs loses no result of another one.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.external_suites.programs import Programs
from scripts.external_suites.results import (
    FAILED,
    PASSED,
    SKIPPED,
    XFAILED,
    Result,
    first_lines,
    last_lines,
)

COLLECTION = "collection"
"""What the result is called that says why the tests could not be listed."""

_MARGIN_SECONDS = 120.0
"""What pytest has, beyond the limit of the test, to end and to report."""
_NEEDS_CONDA = "needs a conda channel"


@dataclass(frozen=True)
class PytestSuite:
    """Tests that pytest runs.

    Attributes:
        name: the suite in the results.
        root: the folder to which names of tests are relative: a copy.
        paths: where the tests are, below the root.
        cwd: the folder in which they run.
        options: options of pytest.
        left_out: for each reason, the options by which pytest selects the tests that it concerns.
        prefix: the program that runs Python, and its arguments.
    """

    name: str
    root: Path
    paths: Sequence[str]
    cwd: Path
    options: Sequence[str] = ()
    left_out: Mapping[str, Sequence[str]] = field(
        default_factory=lambda: {_NEEDS_CONDA: ("-k", "conda")}
    )
    prefix: Sequence[str] = ()


def run_pytest(programs: Programs, suite: PytestSuite) -> Iterator[Result]:
    """Run the tests that are wanted."""
    programs.forget(suite.name, COLLECTION)
    listed = programs.run(*_collect(programs, suite), cwd=suite.cwd)
    tests = read_list(listed.output)
    if not tests:
        yield Result(suite.name, COLLECTION, FAILED, last_lines(listed.output))
    reasons = _reasons(programs, suite) if tests else {}
    chosen = programs.choose([test for test in tests if test not in reasons])
    for test in tests:
        name = short_name(test)
        if not programs.wants(suite.name, name):
            continue
        if test in chosen:
            yield _run_test(programs, suite, test)
        elif test in reasons and not programs.tenth:
            yield Result(suite.name, name, SKIPPED, reasons[test])


def _reasons(programs: Programs, suite: PytestSuite) -> dict[str, str]:
    """Return the tests that are left out, with the reason."""
    found = {}
    for reason, selection in suite.left_out.items():
        listed = programs.run(*_collect(programs, suite, *selection), cwd=suite.cwd)
        found.update(dict.fromkeys(read_list(listed.output), reason))
    return found


def _collect(programs: Programs, suite: PytestSuite, *selection: str) -> list[str]:
    """Return the name of the file of output and the arguments that list tests."""
    paths = [str(suite.root / path) for path in suite.paths]
    argv = _pytest(programs, suite, "--collect-only", "-q", *selection, *paths)
    return [f"{suite.name}-{COLLECTION}", *argv]


def _pytest(programs: Programs, suite: PytestSuite, *arguments: str) -> list[str]:
    python = [*suite.prefix, programs.python, "-m", "pytest", "-p", "no:cacheprovider"]
    return [*python, f"--rootdir={suite.root}", *suite.options, *arguments]


def _run_test(programs: Programs, suite: PytestSuite, test: str) -> Result:
    name = short_name(test)
    report = programs.folder / "report.xml"
    report.unlink(missing_ok=True)
    limit = f"--timeout={programs.timeout:.0f}"
    argv = _pytest(programs, suite, f"--junitxml={report}", limit, f"{suite.root / test}")
    timeout = programs.timeout + _MARGIN_SECONDS
    done = programs.run(f"{suite.name}-{name}", *argv, cwd=suite.cwd, timeout=timeout)
    outcome, reason = read_report(report.read_text()) if report.exists() else ("", "")
    if not outcome:
        outcome, reason = FAILED, last_lines(done.output)
    return Result(suite.name, name, outcome, reason, done.seconds)


def read_list(output: str) -> list[str]:
    """Return the tests in the output of ``pytest --collect-only -q``."""
    lines = output.splitlines()
    return [line for line in lines if ".py::" in line and not line.startswith((" ", "ERROR"))]


def short_name(test: str) -> str:
    """Return a test's name without the folders of its file."""
    path, _, rest = test.partition("::")
    return f"{Path(path).stem}::{rest}"


def read_report(text: str) -> tuple[str, str]:
    """Return the outcome of the test in pytest's report (JUnit's XML), and its reason.

    The outcome is empty if the report has no test.
    """
    cases = list(ET.fromstring(text).iter("testcase"))  # noqa: S314
    wrong = {each.tag: each for case in cases for each in case}
    for tag in ("failure", "error", "skipped"):
        if tag in wrong:
            expected = wrong[tag].get("type") == "pytest.xfail"
            outcome = FAILED if tag != "skipped" else XFAILED if expected else SKIPPED
            return outcome, first_lines(wrong[tag].get("message", ""))
    return PASSED if cases else "", ""
