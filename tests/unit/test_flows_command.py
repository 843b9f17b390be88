from __future__ import annotations

from pathlib import Path

import pytest

from devstack.flows.command import build_command
from devstack.flows.source import FlowSource


def build(*arguments: str, names_platform: bool = False, local: bool = False) -> list[str]:
    source = FlowSource(Path("my_flow.py"), names_platform)
    identity = Path("run.json")
    return build_command(Path("py"), source, arguments, identity=identity, local=local)


START = ["py", "-u", "my_flow.py"]
END = ["--runner-attribute-file", "run.json"]
CLUSTER = ["--with", "kubernetes"]


def test_a_flow_of_the_users_runs_on_the_cluster() -> None:
    assert build("--param", "3") == [*START, "run", "--param", "3", *CLUSTER, *END]


def test_local_leaves_the_steps_on_this_machine() -> None:
    assert build(local=True) == [*START, "run", *END]


def test_a_flow_that_names_its_platform_is_left_as_it_is() -> None:
    assert build(names_platform=True) == [*START, "run", *END]


@pytest.mark.parametrize(
    "arguments", [("--with", "kubernetes:cpu=1"), ("--with=kubernetes",), ("--with", "batch")]
)
def test_a_platform_named_by_the_user_is_not_named_again(arguments: tuple[str, ...]) -> None:
    assert build(*arguments) == [*START, "run", *arguments, *END]


def test_another_decorator_named_by_the_user_does_not_count() -> None:
    assert build("--with", "retry") == [*START, "run", "--with", "retry", *CLUSTER, *END]


def test_resume_takes_the_place_of_run() -> None:
    assert build("resume", "train") == [*START, "resume", "train", *CLUSTER, *END]
