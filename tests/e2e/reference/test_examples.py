"""The examples in docs/kubernetes, unmodified, and commands of Metaflow's Kubernetes page."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.reference.objects import DOCS, NAMESPACE, TASK_IMAGE
from tests.e2e.reference.runs import PLAIN_FLOW
from tests.e2e.reference.task_pods import read
from tests.support.commandline import Devstack
from tests.support.eventually import eventually

BEGUN = "the step has begun"


@contextmanager
def claim(stack: Devstack, name: str, size: str) -> Iterator[None]:
    stack.run("pvc", "create", name, size)
    try:
        yield
    finally:
        stack.run("pvc", "delete", name)


@contextmanager
def secret(stack: Devstack, name: str) -> Iterator[None]:
    given = ["generic", name, "-n", NAMESPACE, "--from-literal=TOKEN=x"]
    stack.admin_kubectl("create", "secret", *given)
    try:
        yield
    finally:
        stack.admin_kubectl("delete", "secret", name, "-n", NAMESPACE)


def test_every_kind_of_example_runs_on_the_default_node(stack: Devstack) -> None:
    """The first test here, before there are pools."""
    assert len(stack.json("node", "list")["data"]["nodes"]) == 1
    with claim(stack, "example-data", "1Gi"), secret(stack, "example-secret"):
        done = stack.run("run", "--local", str(DOCS / "examples.py"))
    for shown in (
        "60000 MB and 8 CPUs: 499500",
        "32000 MB, 4 CPUs and a GPU",
        "cpu, memory, disk, tolerations, node_selector",
        "use_tmpfs, shared_memory, persistent_volume_claims, secrets",
        "the countries BR IT US",
        "retry, timeout, catch",
        "parallel [0, 1]",
    ):
        assert f"ran: {shown}\n" in done.stdout
    assert "the first attempt fails" in done.stdout


def test_the_complete_example_runs_with_the_pool_of_the_docs(cluster: Devstack) -> None:
    with claim(cluster, "training-data", "10Gi"):
        done = cluster.run("run", str(DOCS / "complete.py"))
        pod = re.findall(r"/train/.*\[pod (\S+)\] Task is starting\.", done.stdout)[0]
        spec = read(cluster, "pod", pod, "-n", NAMESPACE)["spec"]
    assert spec["nodeName"].endswith("-training-0")
    assert spec["containers"][0]["resources"]["requests"] == {
        "cpu": "16",
        "memory": "65536M",
        "ephemeral-storage": "102400M",
        "nvidia.com/gpu": "4",
    }
    assert "4 GPUs, 16384 MiB of shared memory" in done.stdout


def test_metaflow_lists_and_kills_the_pods_of_a_run_and_shows_its_log(cluster: Devstack) -> None:
    attributes = f"cpu=4,memory=10000,namespace={NAMESPACE},image={TASK_IMAGE}"
    flow = [str(PLAIN_FLOW), "--", "--with", f"kubernetes:{attributes}"]
    running = cluster.start("run", "--json", *flow, "--seconds", "3600")
    try:
        pod = waiting_pod(cluster)
        commands = ["shell", "--", sys.executable, str(PLAIN_FLOW)]
        assert pod in cluster.run(*commands, "kubernetes", "list").stderr
        killed = cluster.run(*commands, "kubernetes", "kill", "--my-runs")
        assert f"Killing Kubernetes pod {pod}" in killed.stdout + killed.stderr
        envelope = json.loads(running.communicate(timeout=120)[0])
    except BaseException:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=120)
        raise
    assert envelope["error"]["code"] == "FLOW_FAILED"
    run = envelope["data"]["run_id"]
    log = cluster.run(*commands, "logs", f"{run}/start")
    assert BEGUN in log.stdout


def waiting_pod(stack: Devstack) -> str:
    """Return the name of the pod whose step waits, once it does."""
    found: list[str] = []

    def begun() -> bool:
        pods = read(stack, "pods", "-n", NAMESPACE, "--field-selector=status.phase=Running")
        for pod in pods["items"]:
            name = pod["metadata"]["name"]
            log = stack.kubectl("logs", name, "-n", NAMESPACE).stdout
            requests = pod["spec"]["containers"][0]["resources"]["requests"]
            if BEGUN in log and (requests["cpu"], requests["memory"]) == ("4", "10G"):
                found.append(name)
        return bool(found)

    eventually("the step to begin", begun, timeout=120, interval=1)
    return found[0]
