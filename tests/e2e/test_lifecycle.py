"""A second stack beside the shared one, from `up` to `down`, on two nodes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from kubernetes import client
from kubernetes.utils import parse_quantity

from devstack.errors import ExitStatus
from tests.support import footprint
from tests.support.cluster import admin, managed_objects, node
from tests.support.commandline import Devstack
from tests.support.datastore import read, serves, write
from tests.support.eventually import eventually
from tests.support.interruption import collect_command_lines
from tests.support.refusal import refused

PROBE = "probe"


@dataclass
class Second:
    """The second stack, and what was observed during its `up`."""

    stack: Devstack
    user_home: Path
    before: footprint.Footprint
    users_files: dict[str, bytes]
    command_lines: set[str]
    printed: str

    def footprint(self) -> footprint.Footprint:
        """Return what of the second stack is on this machine now."""
        return footprint.take(self.stack, self.stack.home, self.user_home)


@pytest.fixture(scope="module")
def second(stack: Devstack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Second]:
    """A stack of two nodes, brought up while the shared one runs."""
    folder = tmp_path_factory.mktemp("second")
    home, user_home = folder / "home", folder / "user"
    home.mkdir()
    _give_files(user_home)
    settings = {"HOME": str(user_home), "TMPDIR": str(folder / "tmp")}
    (folder / "tmp").mkdir()
    devstack = Devstack("second", home, settings)
    devstack.leave_out("airflow")
    devstack.run("down")
    before = footprint.take(devstack, home, user_home)
    with collect_command_lines() as command_lines:
        done = devstack.run("up", "--nodes", "2", "--verbose", "--timeout", "600", cwd=user_home)
    yield Second(
        devstack, user_home, before, _contents(user_home), command_lines, done.stdout + done.stderr
    )
    devstack.run("down")


def _give_files(user_home: Path) -> None:
    texts = {
        ".kube/config": "apiVersion: v1\nkind: Config\ncurrent-context: work\ncontexts: []\n",
        ".metaflowconfig/config.json": '{"METAFLOW_DEFAULT_DATASTORE": "local"}\n',
        ".aws/credentials": "[default]\naws_access_key_id = users\naws_secret_access_key = own\n",
        ".aws/config": "[default]\nregion = eu-west-1\n",
    }
    for name, text in texts.items():
        file = user_home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_stacks_share_neither_ports_nor_networks_nor_credentials(
    stack: Devstack, second: Second
) -> None:
    states = [_state(stack), _state(second.stack)]
    ports = [port for state in states for port in state["ports"].values()]
    assert len(set(ports)) == len(ports)
    credentials = [value for state in states for value in state["credentials"].values()]
    assert len(set(credentials)) == len(credentials)
    networks = [
        set(node(each).attrs["NetworkSettings"]["Networks"]) for each in (stack, second.stack)
    ]
    assert networks == [{f"devstack-{stack.name}"}, {f"devstack-{second.stack.name}"}]


def test_a_stack_of_another_home_is_not_adopted(stack: Devstack, tmp_path: Path) -> None:
    other = Devstack(stack.name, tmp_path / "home")
    refusal = refused(other, "up", code="CLUSTER_FOREIGN", status=ExitStatus.ENVIRONMENT)
    assert str(stack.directory) in refusal.cause
    assert "another --name" in refusal.remedy
    data = other.json("down")["data"]
    assert (data["removed"], data["owner"]["directory"]) == (False, str(stack.directory))
    assert stack.json("status")["data"]["state"] == "up"


def test_stacks_do_not_share_data(stack: Devstack, second: Second) -> None:
    write(stack, PROBE, "first")
    write(second.stack, PROBE, "second")
    assert (read(stack, PROBE), read(second.stack, PROBE)) == ("first", "second")


def test_a_second_up_changes_nothing_at_all(stack: Devstack) -> None:
    before = managed_objects(stack)
    assert len(before) > 20
    envelope = stack.json("up")
    assert envelope["data"]["changed"] == []
    assert managed_objects(stack) == before


def test_up_keeps_the_settings_of_a_stack(second: Second) -> None:
    envelope = second.stack.json("up")
    assert envelope["data"]["changed"] == []
    refusal = second.stack.json("up", "--nodes", "1", check=False)
    assert refusal["error"]["code"] == "STACK_DIFFERS"
    assert "2" in refusal["error"]["cause"]


def test_no_credential_is_ever_on_a_command_line_or_in_the_output(second: Second) -> None:
    assert any("create cluster" in line for line in second.command_lines)
    for name, secret in _state(second.stack)["credentials"].items():
        shown = [line for line in second.command_lines if secret in line]
        assert not shown, f"{name} was on the command line of {shown}"
        assert secret not in second.printed, f"{name} was printed"
        assert secret not in second.stack.run("logs", "--tail", "1000").stdout


def test_both_nodes_are_ready(second: Second) -> None:
    eventually("both nodes to be ready", lambda: _ready_nodes(second.stack) == 2)


def test_no_container_of_a_fresh_stack_has_restarted(second: Second) -> None:
    """A controller that calls the API before kube-proxy is ready would exit and restart."""
    pods = json.loads(second.stack.admin_kubectl("get", "pods", "-A", "-ojson").stdout)["items"]
    restarts = {
        f"{pod['metadata']['name']}/{status['name']}": status["restartCount"]
        for pod in pods
        for status in pod["status"].get("containerStatuses", [])
    }
    assert "manager" in {name.partition("/")[2] for name in restarts}
    assert {name for name, count in restarts.items() if count} == set()


def test_kubernetes_own_pods_leave_a_nodes_cpus_to_tasks(stack: Devstack) -> None:
    listing = stack.admin_kubectl("get", "pods", "-n", "kube-system", "-ojson").stdout
    pods = json.loads(listing)["items"]
    requests = {
        pod["metadata"]["name"]: parse_quantity(container["resources"]["requests"]["cpu"])
        for pod in pods
        for container in pod["spec"]["containers"]
        if "requests" in container.get("resources", {})
    }
    assert len([name for name in requests if name.startswith("coredns-")]) == 1
    # Of kubeadm's own 850 millicores.
    assert len(requests) == 5
    assert sum(requests.values()) <= 0.2


def test_a_pod_on_the_worker_reaches_minio_by_its_name(second: Second) -> None:
    assert "METAFLOW" in _list_buckets_from_worker(second.stack, "before").upper()


def test_two_nodes_work_again_after_a_restart_of_both(second: Second) -> None:
    write(second.stack, PROBE, "kept")
    for role in ("worker", "control-plane"):
        node(second.stack, role).restart(timeout=5)
    second.stack.run("up")
    assert read(second.stack, PROBE) == "kept"
    eventually("both nodes to be ready", lambda: _ready_nodes(second.stack) == 2)
    assert "METAFLOW" in _list_buckets_from_worker(second.stack, "after").upper()


def test_the_users_own_files_are_untouched(second: Second) -> None:
    stack = second.stack
    stack.run("env")
    stack.run("shell", "--", "true")
    stack.run("kubectl", "get", "pods")
    flow = ("run", "hello", "--json")
    stack.run(*flow, cwd=second.user_home)
    assert _contents(second.user_home) == second.users_files


def test_down_removes_everything_and_does_not_change_the_other_stack(
    stack: Devstack, second: Second
) -> None:
    ports = _state(second.stack)["ports"].values()
    volumes = {each["Name"] for each in node(second.stack).attrs["Mounts"] if "Name" in each}
    assert volumes
    others = managed_objects(stack)
    assert second.stack.json("down")["data"]["removed"] is True
    assert second.footprint().since(second.before) == {}
    engine = docker.from_env()
    assert not volumes & {each.name for each in engine.volumes.list()}
    assert not any(_listens(port) for port in ports)
    assert _contents(second.user_home) == second.users_files
    assert managed_objects(stack) == others
    assert stack.json("status")["data"]["state"] == "up"
    assert serves(stack)
    assert read(stack, PROBE) == "first"


def test_a_second_down_reports_that_there_is_no_stack(second: Second) -> None:
    second.stack.run("down")
    done = second.stack.run("down")
    assert "There is no stack 'second'" in done.stdout
    assert second.stack.json("down")["data"]["removed"] is False


def _state(stack: Devstack) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((stack.directory / "stack.json").read_text())
    return state


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _ready_nodes(stack: Devstack) -> int:
    nodes = client.CoreV1Api(admin(stack)).list_node().items
    conditions = [each for item in nodes for each in item.status.conditions]
    return sum(each.type == "Ready" and each.status == "True" for each in conditions)


def _list_buckets_from_worker(stack: Devstack, name: str) -> str:
    """Run a task's image on the worker, with the keys and the address that task pods get."""
    image = _state(stack)["images"]["task"]
    script = "import boto3; print(boto3.client('s3').list_objects_v2(Bucket='metaflow')['Name'])"
    container = client.V1Container(
        name=PROBE,
        image=image,
        command=["python3", "-c", script],
        env_from=[client.V1EnvFromSource(secret_ref=client.V1SecretEnvSource("metaflow-s3"))],
    )
    spec = client.V1PodSpec(
        containers=[container],
        restart_policy="Never",
        node_name=f"devstack-{stack.name}-worker",
    )
    pods = client.CoreV1Api(admin(stack))
    pod = client.V1Pod(metadata=client.V1ObjectMeta(name=f"{PROBE}-{name}"), spec=spec)
    pods.create_namespaced_pod("metaflow", pod)

    def phase() -> str:
        found = pods.read_namespaced_pod(f"{PROBE}-{name}", "metaflow")
        return str(found.status.phase)

    eventually("the probe on the worker to end", lambda: phase() in ("Succeeded", "Failed"))
    printed = str(pods.read_namespaced_pod_log(f"{PROBE}-{name}", "metaflow"))
    assert phase() == "Succeeded", printed
    return printed
