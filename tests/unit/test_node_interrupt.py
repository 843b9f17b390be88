"""Interrupting spot nodes: the notice, what ends when, and what is rejected."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.config import StackSpec
from devstack.errors import DevstackError
from devstack.images.programs import CONTAINERS
from devstack.kube.interruption import TERMINATION_ANNOTATION, announce_interruption
from devstack.lifecycle.interrupt import interrupt_node
from devstack.lifecycle.nodes import restore_node
from devstack.lifecycle.up import up
from devstack.pools.settings import PoolSettings
from tests.fakes.api import namespace, pod
from tests.fakes.pools import FakePoolProvider
from tests.fakes.stack import World

SPEC = StackSpec(pool=(PoolSettings(name="spot", spot=True), PoolSettings(name="cpu")))
SPOT, CPU = "devstack-devstack-spot-0", "devstack-devstack-cpu-0"


@pytest.fixture
def pools(world: World) -> World:
    world.provider = FakePoolProvider(world.api)
    world.api.add(namespace("kube-system"))
    up(world.open(SPEC))
    task = pod("t-1", "metaflow", {}, {"containers": [], "nodeName": SPOT}, phase="Running")
    world.api.add(task)
    return world


def node(world: World) -> Any:
    return world.api.client().get("v1", "Node", SPOT)


def test_pods_have_the_notice_until_the_node_is_stopped(pools: World) -> None:
    stack = pools.open(SPEC)
    before = datetime.now(timezone.utc)
    started = stack.clock.now()
    done = interrupt_node(stack, SPOT, after=30)
    assert stack.clock.now() - started >= 30
    notice = datetime.strptime(done.notice, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    assert 29 <= (notice - before).total_seconds() <= 35
    assert done.pods == ["metaflow/t-1"]
    assert pools.api.client().list_objects("v1", "Pod", "metaflow") == []
    assert pools.provider.calls[-1] == f"kill {SPOT}"


def test_the_notice_is_the_annotation_that_the_node_agent_reads(pools: World) -> None:
    text = (CONTAINERS / "node-agent" / "imds" / "instance.go").read_text()
    assert re.search(r'TerminationAnnotation = "(.+)"', text)[1] == TERMINATION_ANNOTATION  # type: ignore[index]


def test_a_restored_node_has_no_notice_and_takes_pods(pools: World) -> None:
    stack = pools.open(SPEC)
    interrupt_node(stack, SPOT, after=0)
    restore_node(stack, SPOT)
    assert TERMINATION_ANNOTATION not in node(pools)["metadata"].get("annotations", {})
    assert "unschedulable" not in node(pools)["spec"]


def test_up_takes_an_interrupted_node_back(pools: World) -> None:
    interrupt_node(pools.open(SPEC), SPOT, after=0)
    assert up(pools.open(SPEC))
    assert "unschedulable" not in node(pools)["spec"]
    assert up(pools.open(SPEC)) == []


def test_up_leaves_the_notice_of_a_node_that_is_still_to_end(pools: World) -> None:
    when = datetime.now(timezone.utc) + timedelta(minutes=2)
    announce_interruption(pools.api.client(), SPOT, when)
    up(pools.open(SPEC))
    assert node(pools)["spec"]["unschedulable"]


def test_a_node_that_is_not_spot_is_not_interrupted(pools: World) -> None:
    with pytest.raises(DevstackError) as caught:
        interrupt_node(pools.open(SPEC), CPU, after=0)
    assert caught.value.code == "NODE_NOT_SPOT"
    assert "add `spot = true` to its pool 'cpu'" in caught.value.remedy
    assert f"devstack node kill {CPU}" in caught.value.remedy
    # A worker of --nodes runs services of the stack.
    label = {"metadata": {"labels": {"devstack.dev/pool": "control-plane"}}}
    pools.api.client().patch("v1", "Node", CPU, label)
    with pytest.raises(DevstackError) as caught:
        interrupt_node(pools.open(SPEC), CPU, after=0)
    assert caught.value.code == "NODE_CONTROL_PLANE"


def test_an_interruption_that_is_stopped_takes_the_notice_back(
    pools: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_seconds: float) -> None:
        assert node(pools)["spec"]["unschedulable"]
        raise KeyboardInterrupt

    stack = pools.open(SPEC)
    monkeypatch.setattr(stack.clock, "sleep", stop)
    with pytest.raises(KeyboardInterrupt):
        interrupt_node(stack, SPOT, after=30)
    assert TERMINATION_ANNOTATION not in node(pools)["metadata"].get("annotations", {})
    assert "unschedulable" not in node(pools)["spec"]


@pytest.mark.parametrize("text", ["-1", "2m", "3601", "soon", ""])
def test_a_time_that_is_no_number_of_seconds_is_rejected(
    pools: World, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert run(("node", "interrupt", SPOT, f"--after={text}", "--json"), Output()) == 2
    assert "is not a number of seconds from 0 to 3600" in capsys.readouterr().out
