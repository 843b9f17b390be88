"""Decorators and values that no sample has; in two runs, whose time is that of pods' starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.airflow.metaflow_client import run_client
from tests.kubeflow.flows_on_kubeflow import WORKFLOW, KubeflowStack

BROAD, VALUES = "KubeflowBroadFlow", "KubeflowValuesFlow"
TEXT = 'it\'s "quoted" $HOME $(date) $$ `id` \\ Zürich'
VALUES_FLOW = f"""
import os
from metaflow import *

TEXT = {TEXT!r}
SMALL = {{"cpu": 0.05, "memory": 200, "disk": 100}}

class {VALUES}(FlowSpec):
    text = Parameter("text", default=TEXT)
    given = Parameter("given", default="not given")
    data = Parameter("data", type=JSONType, default={{"a": ["ü", None]}})
    flag = Parameter("flag", default=True)
    rate = Parameter("rate", default=1, type=float)
    fixed = Config("fixed", default_value={{"memory": 210, "text": "not given"}})
    file = IncludeFile("file", default="FILE")

    @environment(vars={{"TEXT": TEXT, "N": 3}})
    @kubernetes(cpu=0.05, memory=config_expr("fixed.memory"), disk=100)
    @step
    def start(self):
        self.variables = [os.environ[name] for name in ("TEXT", "N")]
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        self.config = [self.fixed.memory, self.fixed.text]
        self.included = self.file
        self.values = [self.text, self.given, self.data, self.flag, self.rate]

if __name__ == "__main__":
    {VALUES}()
"""


@pytest.fixture(scope="module")
def broad(stack: KubeflowStack) -> Iterator[dict[str, Any]]:
    """A run of a flow with many decorators."""
    yield stack.run_to_end(stack.deploy("broad.py", "--branch", "spring"))["data"]
    stack.delete_all()


@pytest.fixture(scope="module")
def values(
    stack: KubeflowStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """A run of a flow with values of every kind, some of them given."""
    folder = tmp_path_factory.mktemp("values")
    (folder / "notes.txt").write_text("included ü", encoding="utf-8")
    path = folder / "values.py"
    path.write_text(VALUES_FLOW.replace("FILE", str(folder / "notes.txt")), encoding="utf-8")
    config = '{"memory": 220, "text": "given"}'
    options = ("--tag", "a:b", "--", "--config-value", "fixed", config)
    name = stack.deploy(str(path), *options)
    given = ("--param", f"given={TEXT}", "--param", "flag=no")
    yield stack.run_to_end(name, *given)["data"]
    stack.delete_all()


def test_attributes_of_kubernetes_reach_the_pod(
    stack: KubeflowStack, broad: dict[str, Any]
) -> None:
    pods = stack.objects("pods", f"--selector={WORKFLOW},colour=green")
    (pod,) = pods
    assert pod["metadata"]["annotations"]["note"] == "any text"
    assert "devstack/pod-settings" not in pod["metadata"]["annotations"]
    tolerated = {each.get("key") for each in pod["spec"]["tolerations"]}
    assert "no-node-has-it" in tolerated
    assert stack.artifact(BROAD, broad, "end", "shared") == 32
    assert stack.artifact(BROAD, broad, "end", "tempdir") == "tmpfs"


def test_failures_and_timeouts_are_caught(stack: KubeflowStack, broad: dict[str, Any]) -> None:
    failed, timed_out = stack.artifact(BROAD, broad, "end", "failures")
    assert "on purpose" in failed
    assert timed_out is True


def test_a_card_is_rendered(stack: KubeflowStack, broad: dict[str, Any]) -> None:
    task = f"Run('{BROAD}/{broad['metaflow_run_id']}')['start'].task"
    program = f"from metaflow.cards import get_cards\nfound = len(list(get_cards({task})))"
    assert run_client(stack.devstack, program) == 1


def test_a_branch_of_a_project_has_its_name(stack: KubeflowStack, broad: dict[str, Any]) -> None:
    assert broad["name"] == f"shop.test.spring.{BROAD}"
    assert stack.artifact(BROAD, broad, "end", "branch") == "test.spring"


def test_defaults_and_given_values_arrive_exactly(
    stack: KubeflowStack, values: dict[str, Any]
) -> None:
    found = stack.artifact(VALUES, values, "end", "values")
    assert found == [TEXT, TEXT, {"a": ["ü", None]}, False, 1.0]


def test_variables_configs_and_files_arrive_exactly(
    stack: KubeflowStack, values: dict[str, Any]
) -> None:
    assert stack.artifact(VALUES, values, "start", "variables") == [TEXT, "3"]
    assert stack.artifact(VALUES, values, "end", "config") == [220, "given"]
    assert stack.artifact(VALUES, values, "end", "included") == "included ü"


def test_a_tag_is_the_runs(stack: KubeflowStack, values: dict[str, Any]) -> None:
    name = f"{VALUES}/{values['metaflow_run_id']}"
    assert "a:b" in run_client(stack.devstack, f"found = sorted(Run({name!r}).user_tags)")
