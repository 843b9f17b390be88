"""Faults of a stack that is up: each is named, and `up` repairs it."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

import docker
import pytest
from kubernetes import client

from devstack.errors import ExitStatus
from tests.support.cluster import (
    SERVICES_NAMESPACE,
    admin,
    answers,
    managed_objects,
    minio_pod,
    node,
)
from tests.support.commandline import Devstack
from tests.support.datastore import read, serves, write
from tests.support.eventually import eventually
from tests.support.refusal import findings, refused

PROBE = "fault-probe"


@pytest.fixture(autouse=True)
def _repaired(stack: Devstack) -> Any:
    """Each test leaves the shared stack as healthy as it found it."""
    write(stack, PROBE, "precious")
    yield
    # After an outage of the API server, a node may be called not Ready until its next report.
    eventually("the stack", lambda: stack.json("status", check=False)["data"]["state"] == "up")


def test_a_stopped_node_is_named_and_started_with_its_data(stack: Devstack) -> None:
    container = node(stack)
    container.stop(timeout=5)
    status = stack.json("status", check=False)["data"]
    assert status["state"] == "stopped"
    assert f"{container.name} is exited" in status["detail"]
    assert "NODE_STOPPED" in findings(stack)
    _check_without_docker(stack)
    _check_taken_port(stack)
    assert "cluster" in stack.json("up")["data"]["changed"]
    assert read(stack, PROBE) == "precious"


def _check_without_docker(stack: Devstack) -> None:
    """Without Docker, the errors name Docker, not the node."""
    without_docker = Devstack(stack.name, stack.home, {"DOCKER_HOST": "unix:///nowhere.sock"})
    status = without_docker.json("status", check=False)["data"]
    assert (status["state"], "does not answer" in status["detail"]) == ("unreachable", True)
    assert "DOCKER_STOPPED" in findings(without_docker)
    for command in ("up", "down"):
        refused(without_docker, command, code="DOCKER_STOPPED", status=ExitStatus.ENVIRONMENT)


def _check_taken_port(stack: Devstack) -> None:
    """Another process takes a port while the node is down: the error names it."""
    port = _state(stack)["ports"]["minio"]
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", port))
        thief.listen()
        refusal = refused(stack, "up", code="PORT_TAKEN", status=ExitStatus.ENVIRONMENT)
        assert f"port {port} for minio" in refusal.message
        assert f"process {os.getpid()}" in refusal.cause


def test_a_paused_node_is_named_and_resumed(stack: Devstack) -> None:
    container = node(stack)
    container.pause()
    status = stack.json("status", check=False)["data"]
    assert (status["state"], "paused" in status["detail"]) == ("stopped", True)
    stack.run("up")
    assert read(stack, PROBE) == "precious"


def test_killed_minio_restarts_with_its_data(stack: Devstack) -> None:
    core = client.CoreV1Api(admin(stack))
    killed = minio_pod(stack)
    core.delete_namespaced_pod(killed.metadata.name, SERVICES_NAMESPACE, grace_period_seconds=0)
    eventually("another pod to be made", lambda: _is_another(minio_pod(stack), killed))
    stack.run("up")
    eventually("MinIO to serve again", lambda: serves(stack))
    assert read(stack, PROBE) == "precious"


def test_up_restores_only_changed_objects(stack: Devstack) -> None:
    before = managed_objects(stack)
    apps = client.AppsV1Api(admin(stack))
    wrong = {
        "spec": {
            "replicas": 0,
            "template": {"spec": {"containers": [{"name": "minio", "image": "devstack/none:1"}]}},
        }
    }
    apps.patch_namespaced_deployment("minio", SERVICES_NAMESPACE, wrong)
    rights = client.RbacAuthorizationV1Api(admin(stack))
    rights.delete_namespaced_role_binding("metaflow-submitter", "metaflow")
    eventually("MinIO to be named", lambda: "minio: " in findings(stack).get("NOT_READY", ""))
    status = stack.json("status", check=False)["data"]
    assert status["state"] == "degraded"
    assert [each["name"] for each in status["services"] if each["state"] != "ready"] == ["minio"]
    changed = stack.json("up")["data"]["changed"]
    assert {"apply-minio", "apply-rbac"} <= set(changed)
    assert "apply-jobset" not in changed
    assert set(managed_objects(stack)) == set(before)
    eventually("MinIO to serve again", lambda: serves(stack))
    assert stack.kubectl("get", "pods").returncode == 0


def test_an_image_missing_on_the_node_is_named_and_loaded_again(stack: Devstack) -> None:
    image = _state(stack)["images"]["minio"]
    container = node(stack)
    code, output = container.exec_run(["ctr", "-n", "k8s.io", "images", "rm", *_names(image)])
    assert code == 0, output
    _restart_minio(stack)
    eventually("the kubelet to miss the image", lambda: "IMAGE_PULL_FAILED" in findings(stack))
    assert image in findings(stack)["IMAGE_PULL_FAILED"]
    status = stack.json("status", check=False)["data"]
    failed = [each for each in status["services"] if each["state"] == "failed"]
    assert image in failed[0]["detail"]
    stack.run("up")
    assert read(stack, PROBE) == "precious"


def test_a_pod_without_a_node_is_named_at_the_timeout(stack: Devstack) -> None:
    name = f"devstack-{stack.name}-control-plane"
    core = client.CoreV1Api(admin(stack))
    core.patch_node(name, {"spec": {"unschedulable": True}})
    _restart_minio(stack)
    eventually("the new pod", lambda: minio_pod(stack) is not None)
    try:
        argv = ("up", "--timeout", "2")
        refusal = refused(stack, *argv, code="WAIT_TIMEOUT", status=ExitStatus.TIMEOUT)
        assert refusal.message == "timed out after 2 s waiting for minio to become ready"
        assert minio_pod(stack).metadata.name in refusal.cause
        assert "unschedulable" in refusal.cause
    finally:
        core.patch_node(name, {"spec": {"unschedulable": False}})
    stack.run("up")
    assert read(stack, PROBE) == "precious"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"nodeSelector": {"nowhere": "true"}}, "nowhere=true"),
        (
            {
                "containers": [
                    {"name": "minio", "resources": {"requests": {"ephemeral-storage": "900Ti"}}}
                ]
            },
            "ephemeral-storage",
        ),
    ],
    ids=["no node has the label", "no node has the capacity"],
)
def test_a_pod_that_fits_on_no_node_fails_immediately(
    stack: Devstack, change: dict[str, Any], named: str
) -> None:
    """The Deployment got fields that devstack's manifest does not have."""
    apps = client.AppsV1Api(admin(stack))
    patch = {"spec": {"template": {"spec": change}}}
    apps.patch_namespaced_deployment("minio", SERVICES_NAMESPACE, patch)
    try:
        eventually("the doctor to report it", lambda: "POD_UNSCHEDULABLE" in findings(stack))
        refusal = refused(stack, "up", code="POD_UNSCHEDULABLE", status=ExitStatus.FAILED)
        assert minio_pod(stack).metadata.name in refusal.cause
        assert "can never be scheduled" in refusal.cause
        assert named in refusal.cause
    finally:
        apps.patch_namespaced_deployment("minio", SERVICES_NAMESPACE, _inverted(patch))
    stack.run("up")
    assert read(stack, PROBE) == "precious"


# The tests below stop the API server; controllers end with it, and restart ever more slowly.
def test_a_killed_api_server_is_awaited(stack: Devstack) -> None:
    code, _ = node(stack).exec_run(["pkill", "-KILL", "kube-apiserver"])
    assert code == 0
    state = stack.json("status", check=False)["data"]["state"]
    assert state in ("unreachable", "up")
    stack.run("up")
    assert answers(stack)
    assert read(stack, PROBE) == "precious"


def test_an_api_server_that_stays_down_times_out(stack: Devstack) -> None:
    manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml"
    container = node(stack)
    assert container.exec_run(["mv", manifest, "/root/kube-apiserver.yaml"])[0] == 0
    eventually("the API server to go", lambda: not answers(stack))
    try:
        status = stack.json("status", check=False)["data"]
        assert status["state"] == "unreachable"
        assert "API_DOWN" in findings(stack)
        argv = ("up", "--timeout", "2")
        refusal = refused(stack, *argv, code="WAIT_TIMEOUT", status=ExitStatus.TIMEOUT)
        assert "Kubernetes API" in refusal.message
        assert "after 2 s" in refusal.message
    finally:
        assert container.exec_run(["mv", "/root/kube-apiserver.yaml", manifest])[0] == 0
    stack.run("up")
    assert read(stack, PROBE) == "precious"


def test_a_cluster_deleted_outside_devstack_is_recreated(stack: Devstack) -> None:
    before = _state(stack)
    settings = stack.json("env")["data"]["environment"]
    docker.from_env().containers.get(f"devstack-{stack.name}-control-plane").remove(
        force=True, v=True
    )
    status = stack.json("status", check=False)["data"]
    assert status["state"] == "absent"
    assert "there is no kind cluster" in status["detail"]
    assert "CLUSTER_ABSENT" in findings(stack)
    stack.run("up")
    now = _state(stack)
    assert (now["ports"], now["credentials"]) == (before["ports"], before["credentials"])
    assert stack.json("env")["data"]["environment"] == settings
    assert stack.kubectl("get", "pods").returncode == 0
    assert serves(stack)


def _is_another(pod: Any, killed: Any) -> bool:
    return pod is not None and pod.metadata.uid != killed.metadata.uid


def _state(stack: Devstack) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((stack.directory / "stack.json").read_text())
    return state


def _names(image: str) -> list[str]:
    """Return an image's name as containerd has it."""
    return [f"docker.io/{image}"]


def _restart_minio(stack: Devstack) -> None:
    client.CoreV1Api(admin(stack)).delete_namespaced_pod(
        minio_pod(stack).metadata.name, SERVICES_NAMESPACE, grace_period_seconds=0
    )


def _inverted(patch: Any) -> Any:
    """Return the patch that removes what ``patch`` added; the names of list items stay."""
    if isinstance(patch, list):
        return [{**_inverted(item), "name": item["name"]} for item in patch]
    if isinstance(patch, dict):
        return {key: _inverted(value) for key, value in patch.items()}
    return None
