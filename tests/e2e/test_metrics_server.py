"""`kubectl top` on a stack, through the CLI, with the rights of a user who submits flows."""

from __future__ import annotations

import json

from tests.support.commandline import Devstack
from tests.support.eventually import eventually

SECONDS_AFTER_UP = 30


def top(stack: Devstack, *argv: str) -> list[list[str]]:
    """Return the columns that `kubectl top` prints, without its head; none if it fails."""
    done = stack.kubectl("top", *argv, "--no-headers")
    return [line.split() for line in done.stdout.splitlines()] if done.returncode == 0 else []


def wait_for_top(stack: Devstack, *argv: str) -> None:
    what = f"kubectl top {' '.join(argv)} to work"
    eventually(what, lambda: bool(top(stack, *argv)), SECONDS_AFTER_UP)


def test_nodes_and_pods_have_metrics(stack: Devstack) -> None:
    wait_for_top(stack, "nodes")
    nodes = top(stack, "nodes")
    assert [row[0] for row in nodes] == [f"devstack-{stack.name}-control-plane"]
    wait_for_top(stack, "pods", "-A")
    pods = top(stack, "pods", "-A")
    namespaces = {row[0] for row in pods}
    assert {"kube-system", "devstack", "metrics-server"} <= namespaces
    for *_, cpu, memory in pods:
        assert cpu.endswith("m")
        assert memory.endswith("Mi")


def test_kubelets_and_the_metrics_api_are_verified(stack: Devstack) -> None:
    found = stack.admin_kubectl("get", "apiservice", "v1beta1.metrics.k8s.io", "-o", "json")
    spec = json.loads(found.stdout)["spec"]
    assert spec["caBundle"]
    assert not spec.get("insecureSkipTLSVerify")
    pods = stack.admin_kubectl("get", "deploy", "-n", "metrics-server", "-o", "json").stdout
    assert "--kubelet-insecure-tls" not in pods


def test_it_is_left_out_and_included_again(stack: Devstack) -> None:
    stack.run("up", "--without", "metrics-server")
    try:
        services = stack.json("status")["data"]["services"]
        assert "metrics-server" not in {each["name"] for each in services}
        result = stack.admin_kubectl("get", "apiservice", "v1beta1.metrics.k8s.io", check=False)
        assert "NotFound" in result.stderr
        assert stack.json("up")["data"]["changed"] == []
    finally:
        stack.run("up", "--with", "metrics-server")
    assert stack.json("up")["data"]["changed"] == []
    wait_for_top(stack, "nodes")
    wait_for_top(stack, "pods", "-A")
