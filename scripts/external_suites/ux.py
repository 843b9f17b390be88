"""test/ux: the local backend in runner mode, each step in a pod."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from scripts.external_suites.programs import TIMED_OUT, Programs
from scripts.external_suites.results import FAILED, PASSED, SKIPPED, Result, first_lines, last_lines

NOTHING_SELECTED = 5
"""pytest's exit status if no test was selected (``pytest.ExitCode.NO_TESTS_COLLECTED``)."""

_OPTIONS = ("--only-backend", "local", "--exec-mode", "runner", "--decospecs", "kubernetes")
_FILE_SECONDS = 3600.0
"""The limit for one file of tests; each test has the timeout of all programs."""


def run_ux(programs: Programs) -> Iterator[Result]:
    """Run one file of tests after the other; those that need conda are skipped."""
    folder = programs.copy("test/ux")
    for file in sorted((folder / "core").glob("test_*.py")):
        if file.name == "test_utils.py" or programs.is_over():
            continue
        argv = [programs.python, "-m", "pytest", "-p", "no:cacheprovider", *_OPTIONS]
        argv += [f"--rootdir={folder}", f"--timeout={programs.timeout:.0f}"]
        argv += ["-k", " or ".join(programs.only)] if programs.only else []
        if not _is_done(programs, folder, file, argv):
            yield from _run_file(programs, folder, file, argv)


def _is_done(programs: Programs, folder: Path, file: Path, argv: list[str]) -> bool:
    """Return True if all tests of a file have results; an earlier call may have run a part."""
    if not programs.is_done("ux", file.stem):
        return False
    tests = _collect(programs, folder, argv, "not conda", file)
    return bool(tests) and all(f"ux {test}" in programs.results for test in tests)


def _run_file(programs: Programs, folder: Path, file: Path, argv: list[str]) -> Iterator[Result]:
    programs.forget("ux", file.stem)
    report = programs.folder / f"{file.stem}.xml"
    selected = [f"--junitxml={report}", "-m", "not conda", str(file.relative_to(folder))]
    done = programs.run(f"ux-{file.stem}", *argv, *selected, cwd=folder, timeout=_FILE_SECONDS)
    if report.exists():
        yield from read_report(report.read_text())
    elif done.status != NOTHING_SELECTED:
        yield Result("ux", file.stem, FAILED, last_lines(done.output), done.seconds)
    if done.status == TIMED_OUT:
        yield Result("ux", f"{file.stem} (rest)", FAILED, last_lines(done.output))
    # pytest's report does not contain what is deselected.
    for test in _collect(programs, folder, argv, "conda", file):
        yield Result("ux", test, SKIPPED, "needs a conda channel")


def _collect(programs: Programs, folder: Path, argv: list[str], mark: str, file: Path) -> list[str]:
    """Return the names of the tests of a file that a mark, or its negation, selects."""
    selected = ["-m", mark, "--collect-only", "-q", str(file.relative_to(folder))]
    done = programs.run("ux-collect", *argv, *selected, cwd=folder)
    pairs = (line.partition("::") for line in done.output.splitlines())
    return [
        f"{Path(path).stem}::{test}" for path, _, test in pairs if test and path.endswith(".py")
    ]


def read_report(text: str) -> Iterator[Result]:
    """Yield what pytest's report (JUnit's XML) says of each test."""
    for case in ET.fromstring(text).iter("testcase"):  # noqa: S314
        test = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        seconds = float(case.get("time", 0))
        wrong = next((each for each in case if each.tag in ("failure", "error", "skipped")), None)
        if wrong is None:
            yield Result("ux", test, PASSED, seconds=seconds)
        else:
            outcome = SKIPPED if wrong.tag == "skipped" else FAILED
            yield Result("ux", test, outcome, first_lines(wrong.get("message", "")), seconds)
