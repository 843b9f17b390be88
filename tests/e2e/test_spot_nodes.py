"""A spot node that is taken away, and what a flow that runs there sees and leaves behind."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devstack.kube.interruption import TERMINATION_ANNOTATION
from tests.support.commandline import Devstack
from tests.support.eventually import eventually

FLOW = str(Path(__file__).with_name("flows") / "spot.py")
POOL = """
[[pool]]
name = "spot"
count = 2
instance_type = "g5.xlarge"
zones = ["eu-west-1b"]
spot = true
"""
AFTER_SECONDS = 20
"""Metaflow looks for the notice every 5 s, and starts a program that records it."""

CLIENT = """
import json, sys
from metaflow import Run, namespace
namespace(None)
task = Run(sys.argv[1])["work"].task
found = {name: task[name].data for name in ("instance", "gpus")}
found["metadata"] = [(each.name, each.value) for each in task.metadata]
print(json.dumps(found))
"""


@pytest.fixture
def spot_pool(stack: Devstack, tmp_path: Path) -> Iterator[None]:
    """Two spot nodes, on the shared stack for as long as the test takes."""
    file = tmp_path / "pools.toml"
    file.write_text(POOL)
    stack.run("up", "--config", str(file))
    yield
    file.write_text("pool = []\n")
    stack.run("up", "--config", str(file))


def running_pod(stack: Devstack) -> dict[str, Any] | None:
    """Return the task's pod once its step has begun."""
    running = ("--field-selector", "status.phase=Running")
    found = json.loads(stack.kubectl("get", "pods", *running, "-o", "json").stdout)
    for pod in found["items"]:
        name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]
        if "-spot-" in node and "the first attempt works" in stack.kubectl("logs", name).stdout:
            return dict(pod)
    return None


def node_object(stack: Devstack, name: str) -> dict[str, Any]:
    return dict(json.loads(stack.admin_kubectl("get", "node", name, "-o", "json").stdout))


@pytest.mark.usefixtures("spot_pool")
def test_a_step_continues_elsewhere_when_its_spot_node_is_taken_away(stack: Devstack) -> None:
    running = stack.start("run", "--json", FLOW)
    try:
        eventually("the first attempt to work", lambda: running_pod(stack) is not None, timeout=180)
        pod = running_pod(stack)
        assert pod
        node = pod["spec"]["nodeName"]
        notice = _interrupt(stack, node, pod["metadata"]["name"])
        output, _ = running.communicate(timeout=300)
    finally:
        running.kill()
    _check_restored(stack, node)
    envelope = json.loads(output)
    assert envelope["status"] == "ok", envelope
    run = f"SpotFlow/{envelope['data']['run_id']}"
    found = json.loads(stack.run("shell", "--", sys.executable, "-c", CLIENT, run).stdout)
    _check_recorded(found["metadata"], notice)
    instance = found["instance"]
    assert (instance["instanceType"], instance["region"]) == ("g5.xlarge", "eu-west-1")
    assert found["gpus"].startswith("GPU-")


def _interrupt(stack: Devstack, node: str, pod: str) -> str:
    """Return the time that the notice named."""
    data = stack.json("node", "interrupt", node, "--after", f"{AFTER_SECONDS}s")["data"]
    assert [each.rpartition("/")[2] for each in data["pods"]] == [pod]
    assert node_object(stack, node)["spec"]["unschedulable"]
    return str(data["notice"])


def _check_restored(stack: Devstack, node: str) -> None:
    stack.run("node", "restore", node)
    restored = node_object(stack, node)
    assert "unschedulable" not in restored["spec"]
    assert TERMINATION_ANNOTATION not in restored["metadata"]["annotations"]


def _check_recorded(metadata: list[list[str]], notice: str) -> None:
    """Check what Metaflow recorded of the first attempt, and of the nodes."""
    values = {(name, value) for name, value in metadata}
    assert ("spot-termination-time", notice) in values
    nodes = {value for name, value in values if name == "kubernetes-node-ip"}
    assert len(nodes) == 2, "both attempts ran on one node"
