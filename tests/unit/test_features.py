"""The tables of features in docs/deploying.md: up to date, and true."""

from __future__ import annotations

import ast
import runpy
from typing import Any

import pytest

from devstack.deployers.features import ENGINES, FEATURES, Feature, Partial, Rejected, Works
from devstack.deployers.flow_description import FlowDescription, StepDescription
from devstack.paths import project_file

SCRIPT: dict[str, Any] = runpy.run_path(str(project_file("scripts", "generate-deploying")))
CELLS = [
    pytest.param(feature, engine, id=f"{feature.name} {engine}")
    for feature in FEATURES
    for engine in ENGINES
]


def test_the_page_is_up_to_date() -> None:
    text = project_file("docs", "deploying.md").read_text()
    assert text == SCRIPT["render"](text), "run scripts/generate-deploying"


def test_each_feature_is_there_once_and_has_an_answer_for_each_engine() -> None:
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    for feature in FEATURES:
        assert set(feature.support) >= set(ENGINES), feature.name


@pytest.mark.parametrize(("feature", "engine"), CELLS)
def test_what_is_said_of_a_feature_is_true(feature: Feature, engine: str) -> None:
    support = feature.support[engine]
    if isinstance(support, Rejected):
        violations = SCRIPT["REFUSALS"][engine](support)
        assert violations
        assert all(each.reason and each.instead for each in violations)
    if isinstance(support, Partial):
        assert support.limit
    if isinstance(support, Works) or (isinstance(support, Partial) and support.test):
        file, _, name = support.test.partition("::")
        tree = ast.parse(project_file(*file.split("/")).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_a_flow_without_the_feature_is_not_rejected() -> None:
    """The small flows differ from one that every engine runs in the feature only."""
    steps = {"start": StepDescription("start", "start", ("end",))}
    for refuse in SCRIPT["REFUSALS"].values():
        assert refuse(Rejected(FlowDescription("MyFlow", "s3", steps))) == []


def test_a_page_without_a_place_for_the_tables_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 places"):
        SCRIPT["render"]("# Deploying\n")
