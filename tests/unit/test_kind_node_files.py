"""The files that a node of kind has mounted, and the containers of nodes of pools."""

from __future__ import annotations

import base64
import io
import shlex
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import devstack
from devstack.docker.packing import pack_files
from devstack.docker.similar import build_similar
from devstack.kube.namespaces import SERVICE_NAMESPACES
from devstack.kube.node_state import node_lacks
from devstack.pools.instance_types import GIB
from devstack.pools.nodes import NodeSpec, base_node
from devstack.providers.base import RealSize
from devstack.providers.kind.join import join_files, join_token
from devstack.providers.kind.machine import build_real_size, save_real_size, saved_real_size
from devstack.providers.kind.node_files import (
    limit_real_memory,
    node_folder,
    node_mounts,
    read_node_spec,
    write_node_files,
)
from devstack.state import StackDir
from tests.fakes.api import FakeApi
from tests.fakes.stack import kubeconfig

MACHINE = RealSize(cpus=2, memory=8 * GIB, memory_limit=6 * GIB, disk=100 * GIB)
SPEC = NodeSpec("gpu", cpu=4, memory=8 * GIB, disk=100 * GIB, taints=("a=b:NoSchedule",))


def test_a_node_has_its_settings_and_what_it_is_to_be(tmp_path: Path) -> None:
    folder = tmp_path / "nodes" / "n"
    write_node_files(folder, SPEC, MACHINE)
    settings = (folder / "settings").read_text()
    namespaces = shlex.quote(" ".join(SERVICE_NAMESPACES))
    assert settings == (
        f"MEMORY_LIMIT={6 * GIB}\nMEMORY_RESERVE={2 * GIB}\nDISK={100 * GIB}\n"
        f"SERVICE_NAMESPACES={namespaces}\n"
    )
    assert read_node_spec(folder) == SPEC
    for mount in node_mounts(folder):
        assert Path(mount["hostPath"]).exists()
        assert mount["readOnly"]


def test_the_kubelet_has_the_highest_weight_for_the_cpus(tmp_path: Path) -> None:
    """tests/e2e/test_pools.py reads both weights on a node."""
    write_node_files(tmp_path / "nodes" / "n", SPEC, MACHINE)
    assert "CPUWeight=10000" in (tmp_path / "nodes" / "n" / "kubelet.conf").read_text()


def test_nodes_that_are_started_may_use_what_the_machine_has_now(tmp_path: Path) -> None:
    stack = StackDir("s", tmp_path)
    folder = node_folder(stack, "n")
    write_node_files(folder, SPEC, MACHINE)
    limit_real_memory(stack, ["n", "of-an-earlier-release"], replace(MACHINE, memory_limit=GIB))
    assert f"MEMORY_LIMIT={GIB}\nMEMORY_RESERVE={7 * GIB}\n" in (folder / "settings").read_text()
    assert not node_folder(stack, "of-an-earlier-release").exists()


def test_the_namespaces_of_all_services_come_before_those_of_flows() -> None:
    files = (Path(devstack.__file__).parent.parent / "k8s").glob("*/namespace.yaml")
    found = {yaml.safe_load(each.read_text())["metadata"]["name"] for each in files}
    assert len(found) > 5
    assert found - set(SERVICE_NAMESPACES) == {"metaflow"}


def test_the_drop_in_runs_the_script_before_the_kubelet_and_may_fail(tmp_path: Path) -> None:
    write_node_files(tmp_path / "n", SPEC, MACHINE)
    mounts = {each["containerPath"]: Path(each["hostPath"]) for each in node_mounts(tmp_path / "n")}
    (drop_in,) = [path for path in mounts if path.endswith(".conf")]
    command = mounts[drop_in].read_text().splitlines()[-1]
    assert command.startswith("ExecStartPre=-/bin/bash ")
    script = Path(command.rsplit(" ", 1)[1])
    assert (mounts[str(script.parent)] / script.name).exists()


def test_a_node_of_an_earlier_release_has_no_specification(tmp_path: Path) -> None:
    assert read_node_spec(tmp_path / "missing") is None


@pytest.mark.parametrize(("gib", "reserved"), [(4, 1), (8, 1), (64, 8)])
def test_pods_leave_memory_to_the_machine(gib: int, reserved: int) -> None:
    size = build_real_size({"MemTotal": gib * GIB, "NCPU": 2})
    assert size.memory - size.memory_limit == reserved * GIB
    assert size.disk == 0


def test_the_machine_is_asked_once(tmp_path: Path) -> None:
    stack = StackDir("ci", tmp_path)
    assert saved_real_size(stack) is None
    info = {"MemTotal": 16 * GIB, "NCPU": 2, "DockerRootDir": str(tmp_path), "Other": object()}
    saved = save_real_size(stack, info)
    found = saved_real_size(stack)
    assert found is not None
    assert (found.cpus, found.memory, found.memory_limit) == (2, 16 * GIB, 14 * GIB)
    assert saved.disk > 0


def attrs() -> dict[str, Any]:
    return {
        "Image": "sha256:1",
        "Config": {
            "Hostname": "cp",
            "Image": "node:tag",
            "Env": ["KUBECONFIG=/x", "NO_PROXY=a"],
            "Labels": {"io.x-k8s.kind.role": "control-plane", "kept": "yes"},
            "Volumes": {"/var": {}},
            "Tty": True,
        },
        "HostConfig": {
            "Privileged": True,
            "Binds": ["/lib/modules:/lib/modules:ro", "/state/ci/owner.json:/o:ro"],
            "PortBindings": {"6443/tcp": [{"HostPort": "40000"}]},
        },
        "NetworkSettings": {"Networks": {"devstack-ci": {"IPAddress": "172.18.0.2"}}},
    }


def test_a_similar_container_has_no_host_ports_and_its_own_files() -> None:
    body = build_similar(
        attrs(),
        "devstack-ci-gpu-0",
        labels={"io.x-k8s.kind.role": "worker"},
        binds=["/state/ci/nodes/0:/n:ro"],
        left_out="/state/ci",
        without_variables=("KUBECONFIG",),
    )
    assert body["Hostname"] == "devstack-ci-gpu-0"
    # The name of the image may be another one's since the cluster was created.
    assert body["Image"] == "sha256:1"
    assert body["Env"] == ["NO_PROXY=a"]
    assert body["Labels"] == {"io.x-k8s.kind.role": "worker", "kept": "yes"}
    assert body["HostConfig"]["Privileged"]
    assert body["HostConfig"]["PortBindings"] == {}
    assert body["HostConfig"]["Binds"] == [
        "/lib/modules:/lib/modules:ro",
        "/state/ci/nodes/0:/n:ro",
    ]
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"devstack-ci": {}}}
    assert body["Volumes"] == {"/var": {}}


def test_files_for_a_container_are_private() -> None:
    with tarfile.open(fileobj=io.BytesIO(pack_files({"a": "ä", "b": ""}))) as archive:
        entries = {entry.name: entry for entry in archive.getmembers()}
        content = archive.extractfile("a")
        assert content is not None
        assert content.read().decode() == "ä"
    assert {entry.mode for entry in entries.values()} == {0o600}


def test_a_node_joins_with_its_taints_its_pool_and_its_address() -> None:
    admin = yaml.safe_load(kubeconfig())
    admin["clusters"][0]["cluster"]["certificate-authority-data"] = "Q0E="
    text = yaml.safe_dump(admin)
    files = join_files("devstack-ci", "devstack-ci-gpu-0", SPEC, "172.18.0.3", text, "t.s")
    config = yaml.safe_load(files["kubeadm.conf"])
    registration = config["nodeRegistration"]
    flags = {each["name"]: each["value"] for each in registration["kubeletExtraArgs"]}
    assert registration["taints"] == [{"key": "a", "value": "b", "effect": "NoSchedule"}]
    assert flags["node-labels"] == "devstack.dev/pool=gpu"
    assert flags["node-ip"] == "172.18.0.3"
    assert config["discovery"]["tlsBootstrapToken"] == "t.s"
    discovery = yaml.safe_load(files["devstack-discovery.conf"])
    (cluster,) = discovery["clusters"]
    assert cluster["cluster"]["server"] == "https://devstack-ci-control-plane:6443"
    assert cluster["cluster"]["certificate-authority-data"] == "Q0E="


def test_the_token_to_join_is_deleted_afterwards() -> None:
    api = FakeApi()
    api.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}})
    with join_token(api.client()) as token:
        (secret,) = [item for item in api.objects.values() if item["kind"] == "Secret"]
        data = {key: base64.b64decode(text).decode() for key, text in secret["data"].items()}
        assert f"{data['token-id']}.{data['token-secret']}" == token
        assert secret["type"] == "bootstrap.kubernetes.io/token"
        assert "usage-bootstrap-signing" not in data
    assert not [item for item in api.objects.values() if item["kind"] == "Secret"]


def node(cpu: str = "4", memory: str = "8Gi", ready: str = "True") -> dict[str, Any]:
    return {
        "metadata": {"name": "n"},
        "status": {
            "capacity": {"cpu": cpu, "memory": memory},
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


@pytest.mark.parametrize(
    ("found", "lacks"),
    [
        (None, "has not registered"),
        (node(ready="Unknown"), "is not Ready"),
        (node(cpu="2"), "offers 2 CPUs and 8Gi"),
        (node(memory="4Gi"), "offers 4 CPUs and 4Gi"),
        (node(memory="8388608Ki"), ""),
        (node(), ""),
    ],
)
def test_what_a_node_lacks(found: dict[str, Any] | None, lacks: str) -> None:
    assert node_lacks(found, SPEC) == lacks


def test_memory_is_compared_in_the_kubelets_unit() -> None:
    odd = NodeSpec("p", cpu=4, memory=8 * GIB + 1)
    assert node_lacks(node(), odd) == ""
    assert base_node().disk == 1024 * GIB
