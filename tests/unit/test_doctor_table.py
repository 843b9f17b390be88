"""The table of checks: complete, documented, and each check tested by breaking what it examines."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import devstack.doctor
from devstack.doctor.check import BY_DEGREE
from devstack.doctor.table import CHECKS
from devstack.paths import project_file

TESTS = Path(__file__).parents[1]
SOURCES = sorted(Path(devstack.doctor.__file__).parent.glob("*.py"))


def calls(files: list[Path], name: str) -> Iterator[ast.Call]:
    """Yield the calls of a function in files."""
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(name):
                yield node


@cache
def count_tests() -> dict[str, int]:
    """Return the number of tests that break what each check examines."""
    numbers: dict[str, int] = defaultdict(int)
    for call in calls(sorted(TESTS.rglob("test_*.py")), "mark.breaks"):
        (name,) = call.args
        assert isinstance(name, ast.Constant)
        numbers[str(name.value)] += 1
    return numbers


def test_there_are_forty_eight_checks_of_different_names() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS) == 48
    assert len({check.description for check in CHECKS}) == 48


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_every_check_is_tested_by_breaking_what_it_examines(name: str) -> None:
    assert count_tests().get(name, 0) > 0, (
        f"mark the test of {name!r} with @pytest.mark.breaks({name!r})"
    )


def test_every_mark_names_a_check() -> None:
    assert set(count_tests()) <= {check.name for check in CHECKS}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_check_documents_its_faults(check: object) -> None:
    faults = check.faults  # type: ignore[attr-defined]
    assert faults
    for fault in faults:
        assert fault.code.isupper()
        assert fault.meaning.endswith(".")
        assert fault.remedy.endswith(".")
        assert fault.severity in ("error", "warning", BY_DEGREE)


def test_every_code_of_a_finding_is_documented_with_its_severity() -> None:
    documented = {fault.code: fault.severity for check in CHECKS for fault in check.faults}
    documented["CHECK_TIMEOUT"] = BY_DEGREE
    found: dict[str, set[str]] = defaultdict(set)
    for call in calls(SOURCES, "Finding"):
        given = call.args[2] if len(call.args) > 2 else None
        if isinstance(given, ast.Constant):
            found[str(given.value)].add(severity_of(call))
    for code, severities in found.items():
        expected = severities.pop() if len(severities) == 1 else BY_DEGREE
        assert documented.get(code) == expected, code


def severity_of(call: ast.Call) -> str:
    given = [*call.args[3:], *(each.value for each in call.keywords if each.arg == "severity")]
    if not given:
        return "error"
    return str(given[0].value) if isinstance(given[0], ast.Constant) else BY_DEGREE


def test_the_page_is_up_to_date() -> None:
    script = project_file("scripts", "generate-doctor")
    done = subprocess.run(
        [sys.executable, script, "--check"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
