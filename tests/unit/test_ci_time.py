"""What CI runs on a machine that is too slow for all tests with clusters."""

from __future__ import annotations

import ast

import pytest

from devstack.paths import project_file
from tests.support.essential import ESSENTIAL, is_essential
from tests.support.machine_speed import REFERENCE_MINUTES, REFERENCE_SECONDS, minutes_needed


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
    assert minutes_needed(REFERENCE_SECONDS) == REFERENCE_MINUTES
    assert minutes_needed(3 * REFERENCE_SECONDS) == 3 * REFERENCE_MINUTES
