"""Faults of a real stack, each made on purpose, named by `devstack doctor`, and repaired.

Those of Airflow are in tests/airflow/test_doctor.py; the full disk is in tests/providers.
"""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from devstack.doctor.check import DEADLINE, GRACE
from devstack.doctor.table import CHECKS, GROUPS
from devstack.owner import Owner
from devstack.services.certificates import build_serving_certificate
from tests.support.certificates import build_client_certificate
from tests.support.cluster import answers, node
from tests.support.commandline import Devstack
from tests.support.eventually import eventually
from tests.support.refusal import OF_MACHINE

START_SECONDS = 8.0
"""What the command takes beside its checks, on a machine that other tests share."""


def report(stack: Devstack, **variables: str) -> dict[str, dict[str, Any]]:
    """Return the doctor's findings by code, with more environment variables."""
    other = Devstack(stack.name, stack.home, {**stack.environment, **variables})
    checks = other.json("doctor", check=False)["data"]["checks"]
    return {each["code"]: each for check in checks for each in check["findings"]}


def check_named(stack: Devstack, name: str) -> dict[str, Any]:
    checks = stack.json("doctor", check=False)["data"]["checks"]
    (found,) = (check for check in checks if check["name"] == name)
    return dict(found)


def execute(stack: Devstack, *argv: str) -> str:
    """Run a program on the stack's node."""
    code, output = node(stack).exec_run(list(argv))
    assert code == 0, output
    return str(output.decode())


@contextmanager
def restored(file: Path) -> Iterator[None]:
    """Write a file's contents back afterwards."""
    content = file.read_bytes()
    try:
        yield
    finally:
        file.write_bytes(content)


def test_a_healthy_stack_has_no_findings(stack: Devstack) -> None:
    stack.run("up")
    checks = stack.json("doctor", check=False)["data"]["checks"]
    findings = [each for check in checks for each in check["findings"]]
    assert {each["code"] for each in findings} <= OF_MACHINE
    assert len(checks) == len(CHECKS)
    reasons = {check["name"]: check["reason"] for check in checks if check["state"] == "skipped"}
    of_machine = {"free-ports", "address-pools", "vm", "clock", "requirements", "certificates"}
    # The stack has neither of these engines.
    of_engines = {check.name for title in ("Airflow", "Argo Workflows") for check in GROUPS[title]}
    assert of_engines <= reasons.keys() <= of_engines | of_machine


@pytest.mark.breaks("datastore")
def test_keys_of_flows_that_were_revoked(stack: Devstack) -> None:
    from minio import MinioAdmin
    from minio.credentials.providers import StaticProvider

    state = json.loads((stack.directory / "stack.json").read_text())
    keys = StaticProvider("devstack-root", state["credentials"]["minio-root"])
    endpoint = f"127.0.0.1:{state['ports']['minio']}"
    admin = MinioAdmin(endpoint=endpoint, credentials=keys, secure=False)
    admin.user_disable("metaflow")
    try:
        assert report(stack)["KEYS_REJECTED"]["severity"] == "error"
    finally:
        admin.user_enable("metaflow")
    assert "KEYS_REJECTED" not in report(stack)


@pytest.mark.breaks("kubeconfig")
def test_a_certificate_that_has_expired(stack: Devstack) -> None:
    file = stack.directory / "admin.kubeconfig"
    now = datetime.now(timezone.utc)
    expired = build_client_certificate(now - timedelta(days=366), now - timedelta(days=1))
    with restored(file):
        config = yaml.safe_load(file.read_text())
        encoded = base64.b64encode(expired.encode()).decode()
        config["users"][0]["user"]["client-certificate-data"] = encoded
        # Its key no longer matters: a token is enough to reach the API.
        config["users"][0]["user"].pop("client-key-data")
        file.write_text(yaml.safe_dump(config))
        cause = report(stack)["CERTIFICATE_EXPIRED"]["cause"]
        assert "the administrator's certificate expired" in cause


@pytest.mark.breaks("kubeconfig")
@pytest.mark.breaks("secrets")
@pytest.mark.breaks("images")
def test_a_token_and_a_secret_and_an_image_that_were_deleted(stack: Devstack) -> None:
    state = json.loads((stack.directory / "stack.json").read_text())
    image = f"docker.io/{state['images']['jobset']}"
    stack.admin_kubectl("delete", "secret", "metaflow-submitter-token", "-n", "metaflow")
    stack.admin_kubectl("delete", "secret", "metaflow-s3", "-n", "metaflow")
    execute(stack, "ctr", "-n", "k8s.io", "images", "rm", image)
    # The API server remembers a token that it has accepted for ten seconds.
    eventually("the token to be refused", lambda: "TOKEN_REJECTED" in report(stack), interval=1)
    found = report(stack)
    assert "metaflow/metaflow-s3" in found["SECRET_MISSING"]["cause"]
    assert state["images"]["jobset"] in found["IMAGE_MISSING"]["cause"]
    # It lists the images every 30 seconds, and when it starts.
    execute(stack, "systemctl", "restart", "kubelet")

    def repaired() -> bool:
        stack.run("up")
        return report(stack).keys() <= OF_MACHINE

    eventually("all to be repaired", repaired, interval=2)


@pytest.mark.breaks("images")
def test_a_mirror_that_the_engine_does_not_reach(stack: Devstack, tmp_path: Path) -> None:
    config = tmp_path / "devstack.toml"
    # Nothing listens on this port.
    config.write_text('[images]\nmirror = {"docker.io" = "127.0.0.1:1/hub"}\n')
    checks = stack.json("doctor", "--config", str(config), check=False)["data"]["checks"]
    found = {each["code"]: each for check in checks for each in check["findings"]}
    assert found["REGISTRY_UNREACHABLE"]["severity"] == "warning"
    assert "127.0.0.1:1" in found["REGISTRY_UNREACHABLE"]["cause"]


@pytest.mark.breaks("proxies")
def test_a_proxy_that_was_set_after_up(stack: Devstack) -> None:
    found = report(stack, HTTPS_PROXY="http://proxy.corp.example:3128", NO_PROXY="127.0.0.1")
    assert {"PROXY_NOT_IN_PODS", "PROXY_NOT_ON_NODES"} <= found.keys()
    assert "PROXY_ON_LOOPBACK" not in found
    assert "PROXY_ON_LOOPBACK" in report(stack, HTTP_PROXY="http://127.0.0.1:3128")


@pytest.mark.breaks("pod-certificates")
@pytest.mark.breaks("certificates")
def test_a_private_authority_that_was_added_after_up(stack: Devstack, tmp_path: Path) -> None:
    bundle = tmp_path / "corp.pem"
    bundle.write_text(build_serving_certificate("corp.example").certificate)
    assert "CERTIFICATES_NOT_IN_PODS" in report(stack, DEVSTACK_CA_BUNDLE=str(bundle))
    missing = str(tmp_path / "missing.pem")
    assert missing in report(stack, DEVSTACK_CA_BUNDLE=missing)["CA_BUNDLE_MISSING"]["cause"]


@pytest.mark.breaks("context")
def test_an_engine_on_another_machine(stack: Devstack) -> None:
    found = report(stack, DOCKER_HOST="tcp://192.0.2.1:2375")
    assert "192.0.2.1" in found["ENGINE_REMOTE"]["cause"]


@pytest.mark.breaks("leftovers")
def test_a_volume_of_a_stack_whose_directory_was_deleted(stack: Devstack) -> None:
    owner = Owner.of(stack.home / "state" / "gone")
    volume = docker.from_env().volumes.create("devstack-gone.owner", labels=owner.labels())
    try:
        cause = report(stack)["LEFTOVERS"]["cause"]
        assert "stack 'gone'" in cause
        assert "volume devstack-gone.owner" in cause
    finally:
        volume.remove()
    assert "LEFTOVERS" not in report(stack)


@pytest.mark.breaks("inotify")
@pytest.mark.breaks("engine-disk")
def test_limits_and_a_disk_that_are_too_small_for_the_node(stack: Devstack) -> None:
    limit = "/proc/sys/fs/inotify/max_user_watches"
    execute(stack, "sh", "-c", f"echo 100 >/run/limit && mount --bind /run/limit {limit}")
    execute(stack, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/var/lib/containerd")
    try:
        found = report(stack)
    finally:
        execute(stack, "umount", "/var/lib/containerd", limit)
    assert "fs.inotify.max_user_watches is 100" in found["INOTIFY_LOW"]["cause"]
    assert found["ENGINE_DISK_FULL"]["severity"] == "error"
    assert report(stack).keys() <= OF_MACHINE


@pytest.mark.breaks("dns")
def test_a_name_server_that_is_down(stack: Devstack) -> None:
    coredns = ("-n", "kube-system", "deployment/coredns")
    stack.admin_kubectl("scale", *coredns, "--replicas=0")
    try:
        eventually("CoreDNS to be gone", lambda: "DNS_DOWN" in report(stack))
    finally:
        stack.admin_kubectl("scale", *coredns, "--replicas=1")
        stack.admin_kubectl("rollout", "status", *coredns, "--timeout=60s")
    eventually("names to be resolved", lambda: "DNS_DOWN" not in report(stack))


@pytest.mark.breaks("nodes")
def test_a_node_that_is_under_pressure_and_not_ready(stack: Devstack) -> None:
    name = node(stack).name
    conditions = [
        {"type": "Ready", "status": "False", "message": "stopped by a test"},
        {"type": "DiskPressure", "status": "True", "message": "no space"},
    ]
    patch = json.dumps({"status": {"conditions": conditions}})
    # A kubelet that runs would write its own conditions.
    execute(stack, "systemctl", "stop", "kubelet")
    try:
        stack.admin_kubectl("patch", "node", name, "--subresource=status", "--patch", patch)
        found = report(stack)
    finally:
        execute(stack, "systemctl", "start", "kubelet")
    assert "stopped by a test" in found["NODE_NOT_READY"]["cause"]
    assert "DiskPressure" in found["NODE_PRESSURE"]["cause"]
    eventually("the node to be Ready", lambda: check_named(stack, "nodes")["state"] == "ok")


@pytest.mark.breaks("files")
@pytest.mark.breaks("state")
def test_files_that_others_can_read_and_a_state_that_is_damaged(stack: Devstack) -> None:
    kubeconfig, state = stack.directory / "kubeconfig", stack.directory / "stack.json"
    kubeconfig.chmod(0o644)
    try:
        assert str(kubeconfig) in report(stack)["FILE_EXPOSED"]["cause"]
    finally:
        kubeconfig.chmod(0o600)
    with restored(state):
        state.write_text("{")
        assert "STATE_BROKEN" in report(stack)


@pytest.mark.breaks("api")
@pytest.mark.breaks("cluster")
def test_a_paused_node_does_not_keep_the_doctor_from_reporting(stack: Devstack) -> None:
    node(stack).pause()
    try:
        started = time.monotonic()
        checks = stack.json("doctor", check=False)["data"]["checks"]
        took = time.monotonic() - started
    finally:
        node(stack).unpause()
    assert took < DEADLINE + GRACE + START_SECONDS
    codes = {each["code"] for check in checks for each in check["findings"]}
    assert {"API_DOWN", "NODE_STOPPED"} <= codes
    # What cannot be examined for the same reason is not reported as one more error.
    repeated = {check["name"] for check in checks if check["reason"] == "the API does not respond"}
    assert {"secrets", "rights", "quota", "nodes"} <= repeated
    eventually("the API to answer", lambda: answers(stack))
    stack.run("up")
    assert report(stack).keys() <= OF_MACHINE


def test_an_engine_that_hangs_is_an_error_within_seconds(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "docker.sock"))
        silent.listen()
        stack = Devstack("hangs", tmp_path, {"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"})
        started = time.monotonic()
        done = stack.run("doctor", check=False)
    assert time.monotonic() - started < DEADLINE + GRACE + START_SECONDS
    assert done.returncode == 1
    assert "[CHECK_TIMEOUT]" in done.stdout
    assert done.stdout.count("CHECK_TIMEOUT") == 1
