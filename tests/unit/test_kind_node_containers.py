"""Containers of nodes of pools: names that others have, files that are missing, restarts."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devstack.errors import DevstackError
from devstack.kube.pool_nodes import (
    STARTING_TAINT,
    build_node,
    is_starting,
    lacks_attributes,
)
from devstack.pools.instance_types import GIB
from devstack.pools.nodes import NodeSpec
from devstack.process import Completed
from devstack.providers.base import ClusterSpec
from devstack.providers.kind.cluster_nodes import POOL_LABEL
from devstack.providers.kind.join import BOOTED
from devstack.providers.kind.node_files import node_folder, read_node_spec
from devstack.providers.kind.node_size import write_in_place
from tests.fakes.api import namespace
from tests.fakes.kind import SPEC, FakeEngine, KindSetting, Node, refused
from tests.fakes.stack import kubeconfig
from tests.support.certificates import certificate_request

NAME = "devstack-ci-gpu-0"
SIZE = NodeSpec("gpu", cpu=4, memory=8 * GIB)


class Engine(FakeEngine):
    """An engine that records what it does in containers."""

    def __init__(self, setting: KindSetting) -> None:
        super().__init__()
        self.setting = setting
        self.found = [Node("devstack-ci-control-plane")]
        self.clusters: dict[str, str] = {}
        self.programs: list[object] = []
        self.shares: dict[str, int] = {}

    def create(self, name: str, body: Mapping[str, Any], model: Node) -> Node:
        if name in self.clusters:
            cause = f'Conflict. The container name "/{name}" is already in use by container "1".'
            raise DevstackError("Docker refused", cause=cause, code="DOCKER_REFUSED")
        self.found.append(Node(name))
        self.found[-1].labels = {POOL_LABEL: "gpu"}
        return self.found[-1]

    def cluster_of(self, name: str) -> str:
        return self.clusters.get(name, "")

    def address(self, node: Node, network: str) -> str:
        return "172.18.0.9"

    def put_files(self, node: Node, folder: str, files: Mapping[str, str]) -> None:
        pass

    def run(self, node: Node, script: str, timeout: float) -> Completed:
        self.programs.append(script)
        self._register(node.name)
        return Completed((), 0, "", "")

    def require(self, node: Node, argv: list[str], message: str) -> None:
        self.programs.append(argv)

    def set_cpu_shares(self, node: Node, shares: int) -> None:
        self.shares[node.name] = shares

    def _register(self, name: str) -> None:
        spec = read_node_spec(node_folder(self.setting.dir, name))
        assert spec is not None
        node = build_node(name, spec)
        node["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
        api = self.setting.api
        api.objects.pop(f"/api/v1/nodes/{name}", None)
        api.add(node, certificate_request(name))
        api.objects[f"/api/v1/nodes/{name}/proxy/healthz"] = {}


@pytest.fixture
def kind(home: Path, monkeypatch: pytest.MonkeyPatch) -> KindSetting:
    return KindSetting(monkeypatch)


@pytest.fixture
def engine(kind: KindSetting) -> Engine:
    kind.engine = engine = Engine(kind)
    kind.api.add(namespace("kube-system"))
    kind.provider._engine = engine  # type: ignore[assignment]
    text = kubeconfig().replace("server:", "certificate-authority-data: Y2E=, server:")
    kind.dir.write_file("admin.kubeconfig", text)
    return engine


def test_a_name_that_another_stack_has_is_named_as_the_cause(
    kind: KindSetting, engine: Engine
) -> None:
    engine.clusters[NAME] = "devstack-ci-gpu"
    error = refused(kind.provider.ensure_nodes, SPEC, {NAME: SIZE})
    assert error.code == "NODE_NAME_TAKEN"
    assert "'devstack-ci-gpu'" in error.cause
    # One of this stack: Docker was creating it when its predecessor was killed.
    engine.clusters[NAME] = "devstack-ci"
    assert refused(kind.provider.ensure_nodes, SPEC, {NAME: SIZE}).code == "DOCKER_REFUSED"


def test_the_owners_file_exists_before_a_node_mounts_it(kind: KindSetting, engine: Engine) -> None:
    file = kind.dir.path / "owner.json"
    assert not file.exists()
    kind.provider.ensure_nodes(SPEC, {NAME: SIZE})
    assert file.is_file()


def test_the_kubelet_is_restarted_once_systemd_runs(kind: KindSetting, engine: Engine) -> None:
    kind.provider.ensure_nodes(SPEC, {NAME: SIZE})
    engine.programs.clear()
    kind.provider.ensure_nodes(SPEC, {NAME: NodeSpec("gpu", cpu=8, memory=8 * GIB)})
    assert engine.programs == [BOOTED, ["systemctl", "restart", "kubelet"]]


def test_nodes_join_while_others_are_resized(
    kind: KindSetting, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind.provider.ensure_nodes(SPEC, {NAME: SIZE})
    together, run = threading.Barrier(3, timeout=10), engine.run

    def run_together(node: Node, script: str, timeout: float) -> Completed:
        together.wait()
        return run(node, script, timeout)

    monkeypatch.setattr(engine, "run", run_together)
    larger = NodeSpec("gpu", cpu=8, memory=8 * GIB)
    kind.provider.ensure_nodes(SPEC, {NAME: larger, f"{NAME}1": SIZE, f"{NAME}2": SIZE})
    assert ["systemctl", "restart", "kubelet"] in engine.programs


def test_a_new_node_has_its_labels_and_devices_before_others_are_ready(
    kind: KindSetting, engine: Engine
) -> None:
    spec = NodeSpec("gpu", 4, 8 * GIB, labels={"a": "b"}, taints=(STARTING_TAINT,))
    kind.provider.ensure_nodes(SPEC, {NAME: spec})
    node = kind.api.objects[f"/api/v1/nodes/{NAME}"]
    assert node["metadata"]["labels"]["a"] == "b"
    assert is_starting(node)
    # It is removed when the node has its images, not because it is not wanted.
    assert not lacks_attributes(node, replace(spec, taints=()))


def test_nodes_of_pools_give_way_once_they_are_finished(kind: KindSetting, engine: Engine) -> None:
    kind.provider.ensure_nodes(SPEC, {NAME: SIZE})
    assert engine.shares == {}
    names = [NAME, "devstack-ci-control-plane"]
    kind.provider.limit_nodes(names)
    assert engine.shares == {NAME: 256}
    engine.found[-1].attrs["HostConfig"]["CpuShares"] = 256
    engine.shares.clear()
    kind.provider.limit_nodes(names)
    assert engine.shares == {}


def test_a_plan_has_the_nodes_of_pools_although_base_nodes_are_of_an_earlier_release(
    kind: KindSetting, engine: Engine
) -> None:
    plan = kind.provider.plan(ClusterSpec("ci", pool_nodes=[SIZE]))
    assert plan[-1] == f"join {NAME}"


def test_a_file_whose_writing_was_interrupted_has_no_end_of_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "node.json"
    write_in_place(file, '{"labels": {"a": "b"}}')
    original = Path.open

    def open_file(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        opened = original(path, mode, *arguments, **options)
        return Unfinished(opened) if mode == "r+" else opened

    monkeypatch.setattr(Path, "open", open_file)
    with pytest.raises(KeyboardInterrupt):
        write_in_place(file, "{}")
    monkeypatch.setattr(Path, "open", original)
    assert file.read_text().strip() == "{}"
    assert write_in_place(file, "{}")
    assert file.read_text() == "{}"


class Unfinished:
    """A file whose process ends before it truncates the file."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __enter__(self) -> Unfinished:
        return self

    def __exit__(self, *_error: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        if name == "truncate":
            raise KeyboardInterrupt
        return getattr(self.file, name)
