"""No credential of a stack is visible to others on the machine or in its logs."""

from __future__ import annotations

import json
from typing import Any

import psutil
import pytest

from tests.support.commandline import Devstack


@pytest.fixture(scope="module")
def credentials(stack: Devstack) -> dict[str, str]:
    state = json.loads((stack.directory / "stack.json").read_text())
    found: dict[str, str] = state["credentials"]
    assert any("airflow" in name for name in found)
    return found


def command_lines_of_containers(stack: Devstack) -> list[str]:
    """Return what every container of the stack is to run."""
    workloads = ("pods", "jobs", "deployments", "statefulsets", "daemonsets")
    listed = stack.admin_kubectl("get", ",".join(workloads), "--all-namespaces", "-o", "json")
    lines = []
    for item in json.loads(listed.stdout)["items"]:
        spec: dict[str, Any] = item["spec"].get("template", item)["spec"]
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            lines.append(" ".join([*container.get("command", []), *container.get("args", [])]))
    return lines


def test_no_credential_is_on_a_command_line(stack: Devstack, credentials: dict[str, str]) -> None:
    processes = psutil.process_iter(["cmdline"])
    running = [" ".join(process.info["cmdline"] or []) for process in processes]
    # What runs inside the node is visible, too.
    assert any("kube-apiserver" in line for line in running)
    lines = [*running, *command_lines_of_containers(stack)]
    for name, secret in credentials.items():
        shown = [line for line in lines if secret in line]
        assert not shown, f"{name} is on the command line {shown}"


def test_no_credential_is_in_a_log(stack: Devstack, credentials: dict[str, str]) -> None:
    logs = stack.run("logs", "--tail", "1000").stdout
    assert [name for name, secret in credentials.items() if secret in logs] == []
