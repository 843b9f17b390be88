"""Nodes of pools of a kind cluster: created, resized, continued after an interruption, removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devstack.kube.pool_nodes import STARTING_TAINT, build_node
from devstack.pools.instance_types import GIB
from devstack.pools.nodes import NodeSpec
from devstack.process import Completed
from devstack.providers.kind.cluster_nodes import POOL_LABEL
from devstack.providers.kind.node_files import node_folder, read_node_spec
from tests.fakes.kind import SPEC, FakeEngine, KindSetting, Node, refused
from tests.fakes.stack import kubeconfig
from tests.support.certificates import certificate_request
from tests.support.task_objects import task_pod

NAME = "devstack-ci-gpu-0"
SIZE = NodeSpec("gpu", cpu=4, memory=8 * GIB)
CERTIFICATE_REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
JOINED = "/etc/kubernetes/kubelet.conf"


class PoolEngine(FakeEngine):
    """An engine whose new containers join the cluster when `kubeadm join` runs in them."""

    def __init__(self, setting: KindSetting) -> None:
        super().__init__()
        self.api = setting.api
        self.dir = setting.dir
        self.put: dict[str, str] = {}
        self.restarted: list[str] = []
        self.joins = True

    def create(self, name: str, body: Mapping[str, Any], model: Node) -> Node:
        assert name not in [node.name for node in self.found]
        node = Node(name, "created")
        node.labels = dict(body["Labels"])
        node.files = set()
        self.found.append(node)
        return node

    def address(self, node: Node, network: str) -> str:
        assert network == "devstack-ci"
        return "172.18.0.9"

    def put_files(self, node: Node, folder: str, files: Mapping[str, str]) -> None:
        assert node.status == "running"
        self.put = dict(files)

    def has_file(self, node: Node, path: str) -> bool:
        return path in node.files

    def kill(self, node: Node) -> None:
        node.status = "exited"

    def run(self, node: Node, script: str, timeout: float) -> Completed:
        if not self.joins:
            return Completed((), 1, "error execution phase kubelet-start\n", "")
        node.files.add(JOINED)
        self.register(node.name)
        return Completed((), 0, "", "")

    def require(self, node: Node, argv: list[str], message: str) -> None:
        assert argv == ["systemctl", "restart", "kubelet"]
        self.restarted.append(node.name)
        self.register(node.name)

    def register(self, name: str) -> None:
        """Let the API have a Ready node of the size that its files say."""
        spec = read_node_spec(node_folder(self.dir, name))
        assert spec is not None
        node = build_node(name, spec)
        node["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
        self.api.objects.pop(f"/api/v1/nodes/{name}", None)
        self.api.add(node, certificate_request(name))
        self.api.objects[f"/api/v1/nodes/{name}/proxy/healthz"] = {}


@pytest.fixture
def kind(home: Path, monkeypatch: pytest.MonkeyPatch) -> KindSetting:
    setting = KindSetting(monkeypatch)
    engine = PoolEngine(setting)
    setting.engine = engine
    setting.provider._engine = engine  # type: ignore[assignment]
    engine.found = [Node("devstack-ci-control-plane")]
    text = kubeconfig().replace("{server:", "{certificate-authority-data: Q0E=, server:")
    setting.dir.write_file("admin.kubeconfig", text)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}
    setting.api.add(namespace)
    return setting


def engine_of(kind: KindSetting) -> PoolEngine:
    assert isinstance(kind.engine, PoolEngine)
    return kind.engine


def names(kind: KindSetting) -> list[str]:
    return [node.name for node in kind.engine.found]


def test_a_node_joins_and_is_marked_as_one_of_its_pool(kind: KindSetting) -> None:
    kind.provider.ensure_nodes(SPEC, {NAME: SIZE})
    (node,) = [each for each in kind.engine.found if each.name == NAME]
    assert node.labels[POOL_LABEL] == "gpu"
    assert node.labels["io.x-k8s.kind.role"] == "worker"
    assert "172.18.0.9" in engine_of(kind).put["kubeadm.conf"]
    assert kind.provider.existing_nodes()[NAME] == SIZE
    # The token to join is deleted.
    assert not [path for path in kind.api.objects if "/secrets/" in path]


def test_a_node_that_is_as_it_is_to_be_is_not_touched(kind: KindSetting) -> None:
    kind.provider.ensure_nodes(SPEC, {NAME: SIZE})
    writes = len(kind.api.writes)
    kind.provider.ensure_nodes(SPEC, {NAME: SIZE})
    assert len(kind.api.writes) == writes
    assert engine_of(kind).restarted == []


def test_a_node_that_joined_before_up_was_killed_gets_its_certificate(kind: KindSetting) -> None:
    starting = replace(SIZE, taints=(STARTING_TAINT,))
    kind.provider.ensure_nodes(SPEC, {NAME: starting})
    request = certificate_request(NAME)
    path = f"{CERTIFICATE_REQUESTS}/{request['metadata']['name']}"
    kind.api.objects.pop(path)
    kind.api.add(request)
    kind.provider.ensure_nodes(SPEC, {NAME: starting})
    assert kind.api.objects[path]["status"]["conditions"][0]["type"] == "Approved"


def test_another_size_restarts_the_kubelet_of_that_node_only(kind: KindSetting) -> None:
    other = NAME.replace("0", "1")
    kind.provider.ensure_nodes(SPEC, {NAME: SIZE, other: SIZE})
    larger = NodeSpec("gpu", cpu=9, memory=8 * GIB)
    kind.provider.ensure_nodes(SPEC, {NAME: larger, other: SIZE})
    assert engine_of(kind).restarted == [NAME]
    assert kind.provider.existing_nodes()[NAME] == larger


def test_a_container_that_has_not_joined_is_created_again(kind: KindSetting) -> None:
    engine_of(kind).joins = False
    error = refused(kind.provider.ensure_nodes, SPEC, {NAME: SIZE})
    assert error.code == "NODE_JOIN_FAILED"
    assert "kubelet-start" in error.output
    (left,) = [each for each in kind.engine.found if each.name == NAME]
    engine_of(kind).joins = True
    kind.provider.ensure_nodes(SPEC, {NAME: SIZE})
    assert left not in kind.engine.found
    assert names(kind).count(NAME) == 1


def test_a_removed_node_leaves_no_container_no_object_and_no_files(kind: KindSetting) -> None:
    kind.provider.ensure_nodes(SPEC, {NAME: SIZE})
    agent = task_pod("agent", node=NAME)
    agent["metadata"]["ownerReferences"] = [{"kind": "DaemonSet", "name": "agent"}]
    # What has ended is still a part of its run.
    kind.api.add(agent, task_pod("ended", node=NAME))
    kind.provider.remove_node(NAME)
    assert names(kind) == ["devstack-ci-control-plane"]
    assert [path.rsplit("/", 1)[1] for path in kind.api.objects if "/pods/" in path] == ["ended"]
    assert f"/api/v1/nodes/{NAME}" not in kind.api.objects
    assert not node_folder(kind.dir, NAME).exists()


def test_a_killed_node_is_restored(kind: KindSetting) -> None:
    kind.provider.ensure_nodes(SPEC, {NAME: SIZE})
    kind.provider.kill_node(NAME)
    (node,) = [each for each in kind.engine.found if each.name == NAME]
    assert node.status == "exited"
    kind.provider.restore_node(NAME)
    assert node.status == "running"
    assert refused(kind.provider.kill_node, "unknown").code == "NODE_MISSING"


def test_nodes_of_pools_do_not_count_as_nodes_of_kind(kind: KindSetting) -> None:
    kind.provider.ensure_nodes(SPEC, {NAME: SIZE})
    kind.provider.ensure(SPEC)
    assert refused(kind.provider.ensure, SPEC.__class__("ci", nodes=2)).code == "NODES_FIXED"


def test_names_say_cluster_pool_and_index(kind: KindSetting) -> None:
    spec = SPEC.__class__("ci", pool_nodes=[SIZE, SIZE, NodeSpec("cpu", cpu=1, memory=GIB)])
    kind.dir.admin_kubeconfig.unlink()
    assert list(kind.provider.nodes_by_name(spec)) == [
        "devstack-ci-control-plane",
        NAME,
        "devstack-ci-gpu-1",
        "devstack-ci-cpu-0",
    ]


def test_base_nodes_of_an_earlier_release_keep_the_size_that_they_have(kind: KindSetting) -> None:
    assert list(kind.provider.nodes_by_name(SPEC)) == []
    assert kind.provider.existing_nodes() == {"devstack-ci-control-plane": None}
