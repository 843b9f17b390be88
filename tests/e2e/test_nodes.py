"""Nodes that come and go: pools that grow by themselves, machines that go away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.commandline import Devstack
from tests.support.eventually import eventually

BURST = str(Path(__file__).with_name("flows") / "burst.py")

POOLS = """
[[pool]]
name = "spare"
cpu = 4
memory = "8Gi"

[[pool]]
name = "burst"
max = 2
idle = 3
instance_type = "p3.8xlarge"
cpu = 41
memory = "8Gi"
"""


@pytest.fixture(scope="module")
def pools(stack: Devstack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devstack]:
    """The stack with a pool of one node, and one that grows."""
    file = tmp_path_factory.mktemp("pools") / "devstack.toml"
    file.write_text(POOLS)
    stack.run("up", "--config", str(file))
    yield stack
    file.write_text("pool = []\n")
    stack.run("up", "--config", str(file))
    assert list(states(stack)) == [f"devstack-{stack.name}-control-plane"]
    assert "autoscaler" not in {each["name"] for each in status(stack)["services"]}


def states(stack: Devstack) -> dict[str, str]:
    nodes = stack.json("node", "list")["data"]["nodes"]
    return {node["name"]: node["state"] for node in nodes}


def status(stack: Devstack) -> dict[str, Any]:
    data: dict[str, Any] = stack.json("status", check=False)["data"]
    return data


def test_a_gang_gets_all_nodes_that_it_needs_and_they_go_when_idle(pools: Devstack) -> None:
    before = states(pools)
    burst = next(each for each in status(pools)["pools"] if each["name"] == "burst")
    assert (burst["nodes"], burst["addable"]) == (0, 2)
    done = pools.json("run", "--local", BURST, timeout=600)
    assert done["status"] == "ok"
    assert len(done["data"]["pods"]) == 2
    eventually("the idle nodes to be removed", lambda: states(pools) == before, timeout=120)


def test_a_gang_larger_than_the_pools_max_is_stopped_with_the_line_to_write(
    pools: Devstack,
) -> None:
    done = pools.json("run", "--local", BURST, "--", "--ranks", "3", check=False, timeout=600)
    assert done["error"]["code"] == "GANG_TOO_LARGE"
    assert 'name = "burst":\n    max = 3' in done["error"]["remedy"]
    assert not [name for name in states(pools) if "burst" in name]


def test_a_node_that_was_drained_and_killed_is_restored(pools: Devstack) -> None:
    node = f"devstack-{pools.name}-spare-0"
    assert pools.json("node", "drain", node)["data"]["evicted"] == []
    assert states(pools)[node] == "Ready,cordoned"
    pools.json("node", "kill", node)
    pools.json("node", "restore", node)
    assert set(states(pools).values()) == {"Ready"}
    # The agents of the node start once it is Ready.
    eventually("the services to be ready", lambda: status(pools)["state"] == "up")
