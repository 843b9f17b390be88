"""What users type reaches the pods of a workflow exactly, on a real Argo.

tests/unit/test_argo_values.py covers more texts, without the runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devstack.errors import ExitStatus
from tests.airflow.metaflow_client import run_client
from tests.argo.flows_on_argo import argo, artifact, delete_all, deploy, in_shell, run_to_end
from tests.support.commandline import Devstack
from tests.support.engine_values import TAG, TEXT

FLOW = "ArgoValuesFlow"
VALUES = f"""
import os
from metaflow import *

TEXT = {TEXT!r}
SMALL = {{"cpu": 0.05, "memory": 200, "disk": 100}}

class {FLOW}(FlowSpec):
    text = Parameter("text", default=TEXT)
    given = Parameter("given", default="not given")
    empty = Parameter("empty", default="not empty")
    data = Parameter("data", type=JSONType, default={{"a": ["ü", None]}})
    flag = Parameter("a-flag", default=True)
    rate = Parameter("rate", default=1, type=float)
    fixed = Config("fixed", default_value={{"memory": 210, "text": TEXT}})
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
        self.values = [self.text, self.given, self.empty, self.data, self.flag, self.rate]

if __name__ == "__main__":
    {FLOW}()
"""


@pytest.fixture(scope="module")
def run(stack: Devstack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A run with one given text, and one that is empty."""
    folder = tmp_path_factory.mktemp("values")
    (folder / "notes.txt").write_text("included ü", encoding="utf-8")
    path = folder / "values.py"
    path.write_text(VALUES.replace("FILE", str(folder / "notes.txt")), encoding="utf-8")
    argo(stack, "deploy", str(path), "--tag", TAG)
    options = ("--param", f"given={TEXT}", "--param", "empty=", "--param", "a-flag=no")
    yield run_to_end(stack, FLOW, *options)["data"]
    delete_all(stack)


def test_defaults_and_given_values_arrive_exactly(stack: Devstack, run: dict[str, Any]) -> None:
    values = artifact(stack, FLOW, run, "end", "values")
    assert values == [TEXT, TEXT, "", {"a": ["ü", None]}, False, 1.0]


def test_variables_configs_and_files_arrive_exactly(stack: Devstack, run: dict[str, Any]) -> None:
    assert artifact(stack, FLOW, run, "start", "variables") == [TEXT, "3"]
    assert artifact(stack, FLOW, run, "end", "config") == [210, TEXT]
    assert artifact(stack, FLOW, run, "end", "included") == "included ü"


def test_a_tag_is_the_runs(stack: Devstack, run: dict[str, Any]) -> None:
    name = f"{FLOW}/{run['metaflow_run_id']}"
    assert TAG in run_client(stack, f"found = sorted(Run({name!r}).user_tags)")


@pytest.mark.usefixtures("clean")
def test_what_metaflows_own_template_would_change_is_refused(stack: Devstack) -> None:
    in_shell(stack, "line.py", "create")
    for text in ("$HOME", "Zürich", "back\\slash", "`id`"):
        command = ("argo", "trigger", "ArgoLineFlow", "--param", f"text={text}")
        done = stack.run(*command, check=False)
        assert done.returncode == ExitStatus.USAGE, text
        assert "devstack argo deploy" in done.stdout + done.stderr
    assert argo(stack, "runs", "ArgoLineFlow")["data"]["runs"] == []
    deploy(stack, "line.py")
    argo(stack, "trigger", "ArgoLineFlow", "--param", "text=$HOME Zürich")


@pytest.mark.usefixtures("clean")
def test_a_compiled_flow_is_written_and_kubectl_accepts_it(stack: Devstack, tmp_path: Path) -> None:
    flow = str(Path(__file__).parent / "flows" / "line.py")
    options = ("--schedule", "hourly", "--only-compile", str(tmp_path))
    path = argo(stack, "deploy", flow, *options)["data"]["file"]
    assert argo(stack, "list")["data"]["deployments"] == []
    stack.admin_kubectl("apply", "--filename", path)
    (deployed,) = argo(stack, "list")["data"]["deployments"]
    assert deployed["schedule"] == "0 * * * *"
