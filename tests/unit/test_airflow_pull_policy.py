"""The tag `latest` in DAGs: nodes use an image that was added, and pull any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.deployers.airflow.compile import compile_flow
from devstack.deployers.airflow.patches import _patch_pull_policy
from devstack.deployers.base import DeployOptions
from devstack.flows.source import FlowSource
from devstack.image_names import spellings
from devstack.process import SubprocessRunner
from tests.fakes.s3 import fake_s3
from tests.support.dag_compilation import compile_environment, dag_config

FLOW = """
from metaflow import FlowSpec, step

class MyFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    MyFlow()
"""


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("app", "IfNotPresent"),
        ("docker.io/library/app", "IfNotPresent"),
        ("a/app:latest", "IfNotPresent"),
        ("localhost:5000/app", "IfNotPresent"),
        ("app:1", None),
        # The registry may have a later one.
        ("python", None),
        ("b/app:latest", None),
        ("app@sha256:12", None),
    ],
)
def test_nodes_use_an_added_image_of_the_tag_latest(image: str, policy: str | None) -> None:
    task = {"image": image}
    added = ["a/app:latest", "app:latest", "localhost:5000/app:latest"]
    _patch_pull_policy(task, [text for name in added for text in spellings(name)])
    assert task.get("image_pull_policy") == policy


def test_the_compiler_is_told_which_images_were_added(tmp_path: Path) -> None:
    path = tmp_path / "my_flow.py"
    path.write_text(FLOW)
    options = DeployOptions(FlowSource(path), metaflow_options=["--with", "kubernetes:image=app"])
    with fake_s3() as address:
        env = compile_environment(tmp_path, address)
        for latest, policy in ((["app:latest", "app"], "IfNotPresent"), ([], None)):
            compiled = compile_flow(options, env, SubprocessRunner(), latest=latest)
            tasks = [each["operator_args"] for each in dag_config(compiled)["states"].values()]
            assert {task.get("image_pull_policy") for task in tasks} == {policy}
