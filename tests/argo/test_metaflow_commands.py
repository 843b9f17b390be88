"""Metaflow's own command deploys to the stack's Argo from `devstack shell`, without settings."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.argo.flows_on_argo import FLOWS, RUN_SECONDS, artifact, in_shell, objects
from tests.support.commandline import Devstack
from tests.support.eventually import eventually

FLOW = "line.py"
FINAL = {"Succeeded", "Failed"}


@pytest.mark.usefixtures("clean")
def test_a_flow_is_created_triggered_followed_and_deleted(stack: Devstack, tmp_path: Path) -> None:
    in_shell(stack, FLOW, "create")
    # The second one replaces the first, after it has looked for its sensor.
    in_shell(stack, FLOW, "create")
    file = tmp_path / "run"
    told = in_shell(stack, FLOW, "trigger", "--text", "hello", "--run-id-file", str(file))
    run = file.read_text()
    assert stack.json("status")["data"]["urls"]["argo"] in told

    def status() -> set[str]:
        return FINAL & set(in_shell(stack, FLOW, "status", run).split())

    eventually("the run to end", status, timeout=RUN_SECONDS, interval=2)
    assert status() == {"Succeeded"}
    assert artifact(stack, "ArgoLineFlow", {"metaflow_run_id": run}, "end", "seen") == "hello"
    in_shell(stack, FLOW, "delete")
    assert objects(stack, "workflowtemplates") == []


@pytest.mark.usefixtures("clean")
def test_a_run_is_terminated(stack: Devstack, tmp_path: Path) -> None:
    in_shell(stack, FLOW, "create")
    file = tmp_path / "run"
    in_shell(stack, FLOW, "trigger", "--run-id-file", str(file))
    name = file.read_text().removeprefix("argo-")

    def phase() -> str:
        (item,) = (each for each in objects(stack, "workflows") if each["metadata"]["name"] == name)
        return str(item.get("status", {}).get("phase", ""))

    eventually("the controller to see it", lambda: phase() == "Running")
    in_shell(stack, FLOW, "terminate", f"argo-{name}")
    eventually("the run to end", lambda: phase() == "Failed", timeout=120)


def test_the_template_is_printed_and_not_deployed(stack: Devstack) -> None:
    command = (sys.executable, str(FLOWS / FLOW), "argo-workflows", "create", "--only-json")
    printed = stack.run("shell", "--", *command).stdout
    made = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])
    assert (made["kind"], made["metadata"]["namespace"]) == ("WorkflowTemplate", "metaflow")
    assert objects(stack, "workflowtemplates") == []
