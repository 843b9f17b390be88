"""What CI runs of the tests with clusters, and when they end."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.paths import project_file
from tests.support.essential import ESSENTIAL, is_essential
from tests.support.leftovers import is_running
from tests.support.machine_speed import REFERENCE_SECONDS, REFERENCE_UNIT_MINUTES, minutes_needed


@pytest.mark.parametrize("test", ESSENTIAL)
def test_every_essential_test_exists(test: str) -> None:
    path, _, name = test.partition("::")
    tree = ast.parse(project_file(*path.split("/")).read_text())
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert not name or name in functions


def test_all_cases_of_an_essential_test_are_essential() -> None:
    name = next(each for each in ESSENTIAL if "::" in each)
    assert is_essential(name)
    assert is_essential(f"{name}[a::b]")
    assert not is_essential(f"{name}_too")


def test_a_slower_machine_needs_more_time() -> None:
    assert minutes_needed(REFERENCE_SECONDS) == REFERENCE_UNIT_MINUTES
    assert minutes_needed(3 * REFERENCE_SECONDS) == 3 * REFERENCE_UNIT_MINUTES


def test_a_faster_machine_gets_no_shorter_estimate() -> None:
    assert minutes_needed(REFERENCE_SECONDS / 2) == REFERENCE_UNIT_MINUTES


def test_a_test_run_is_running_while_its_process_is(tmp_path: Path) -> None:
    assert not is_running(tmp_path)
    (tmp_path / ".lock").write_text(str(os.getpid()))
    assert is_running(tmp_path)
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / ".lock").write_text(str(ended.pid))
    assert not is_running(tmp_path)


def test_versions_of_python_without_time_left_are_left_out_and_named() -> None:
    script = str(project_file("scripts", "test-pythons"))
    done = subprocess.run(
        [script, "--minutes", "0", "--without", "3.12"], capture_output=True, text=True, check=True
    )
    late = done.stdout.partition("no time left for: ")[2]
    assert "passed on none; failed on none" in done.stdout
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in f"{late} 3.12"
    assert "3.12" not in late


def test_a_failure_is_printed_before_the_run_ends(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_it():
            raise ValueError("the cause")
        """
    )
    lines = pytester.runpytest("-p", "tests.support.failures").outlines
    failed = next(line for line in lines if line.startswith("FAILED in call: "))
    following = lines[lines.index(failed) :]
    assert any("ValueError: the cause" in line for line in following)
    assert lines.index(failed) < next(n for n, line in enumerate(lines) if " FAILURES " in line)
