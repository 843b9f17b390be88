from __future__ import annotations

import pytest

from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.config import StackSpec
from devstack.state import STATE_FILE, StackDir
from devstack.waits import Failed, Waiting
from tests.fakes.stack import World
from tests.golden.conftest import Golden

UP = ("up", "--json", "--port", "minio=9000")


def shown(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    capsys.readouterr()
    run(argv, Output())
    return capsys.readouterr().out


def test_a_healthy_stack(golden: Golden, capsys: pytest.CaptureFixture[str], world: World) -> None:
    run(UP, Output())
    golden("status.txt", shown(capsys, "status"))
    golden("status.json", shown(capsys, "status", "--json"))


def test_an_unhealthy_stack(
    golden: Golden, capsys: pytest.CaptureFixture[str], world: World
) -> None:
    run(UP, Output())
    world.services[0].observation = Waiting(
        "Secret metaflow/metaflow-submitter-token has no token yet"
    )
    world.services[1].observation = Failed("pod devstack/minio-0: image cannot be pulled")
    golden("status-degraded.txt", shown(capsys, "status"))


def test_a_stack_without_its_cluster(
    golden: Golden, capsys: pytest.CaptureFixture[str], world: World
) -> None:
    run(UP, Output())
    world.lose_cluster()
    golden("status-absent.txt", shown(capsys, "status"))


def test_several_stacks(golden: Golden, capsys: pytest.CaptureFixture[str], world: World) -> None:
    run((*UP, "--name", "ci"), Output())
    world.open(StackSpec(name="half")).save()
    StackDir("wrecked").write_file(STATE_FILE, "{")
    golden("status-all.txt", shown(capsys, "status", "--all"))
