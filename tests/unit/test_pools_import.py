"""Pools, quotas, limit ranges and priority classes of another cluster, for this stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from devstack.config import StackSpec, load
from devstack.errors import DevstackError
from devstack.kube.client import Object
from devstack.lifecycle.import_pools import Imported, import_pools
from devstack.lifecycle.up import up
from devstack.pools.nodes import pool_nodes
from tests.fakes.api import FakeApi
from tests.fakes.stack import World

GIB = 1024**3
SPOT = {"key": "node.kubernetes.io/lifecycle", "value": "spot", "effect": "NoSchedule"}


def node(name: str, group: str, kind: str, zone: str, *taints: Object, **offered: str) -> Object:
    amounts = {key.replace("__", ".com/"): value for key, value in offered.items()}
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "eks.amazonaws.com/nodegroup": group,
        "node.kubernetes.io/instance-type": kind,
        "topology.kubernetes.io/zone": zone,
        "topology.kubernetes.io/region": zone[:-1],
    }
    status = {"capacity": amounts, "allocatable": {**amounts, "pods": "110"}}
    metadata = {"name": name, "labels": labels}
    spec = {"taints": list(taints)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


GPU = {"cpu": "32", "memory": "251000000Ki", "ephemeral-storage": "200Gi", "nvidia__gpu": "4"}
CPU = {"cpu": "8", "memory": "31000000Ki", "ephemeral-storage": "80Gi"}
QUOTA: Object = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "team", "namespace": "ml", "uid": "1", "resourceVersion": "5"},
    "spec": {"hard": {"requests.cpu": "400"}},
    "status": {"used": {"requests.cpu": "3"}},
}


def priority(name: str) -> Object:
    metadata = {"name": name}
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": metadata,
        "value": 5,
    }


@pytest.fixture
def prod() -> FakeApi:
    api = FakeApi()
    api.add(
        *[node(f"g{index}", "gpu", "p3.8xlarge", f"us-east-1{zone}", SPOT, **GPU)
          for index, zone in enumerate("aabb")],
        node("c1", "general", "m5.2xlarge", "us-east-1a", **CPU),
        QUOTA,
        priority("important"),
        priority("system-node-critical"),
    )  # fmt: skip
    return api


def imported(api: FakeApi, file: Path, at_most: int = 2) -> Imported:
    return import_pools(api.client(), "ml", file, at_most)


def test_equal_nodes_become_a_pool_of_at_most_so_many(prod: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "devstack.toml"
    done = imported(prod, file, at_most=3)
    assert (done.pools, done.nodes) == (["gpu", "general"], 4)
    gpu, general = load(file).pool
    assert gpu == {
        "name": "gpu",
        "count": 3,
        "instance_type": "p3.8xlarge",
        "zones": ("us-east-1a", "us-east-1b"),
        "cpu": 32,
        "memory": "245117Mi",
        "disk": "200Gi",
        "gpu": {"vendor": "nvidia", "count": 4},
        "labels": {"eks.amazonaws.com/nodegroup": "gpu"},
        "spot": True,
    }
    assert general["cpu"] == 8
    first = pool_nodes(load(file).pool)[0]
    assert first.labels["topology.kubernetes.io/region"] == "us-east-1"
    assert first.taints == ("node.kubernetes.io/lifecycle=spot:NoSchedule",)
    assert pool_nodes([general])[0].extended == {"nvidia.com/gpu": 0}


def test_what_the_file_has_stays_with_its_comments(prod: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "devstack.toml"
    before = '# ours\nnodes = 2  # two\n\n[[pool]]\nname = "gpu" # keep\ncount = 1\n'
    file.write_text(before)
    done = imported(prod, file)
    text = file.read_text()
    assert before in text
    assert text.startswith('manifests = ["devstack-policies.yaml"]\n')
    assert "pool 'gpu' exists already and is left as it is" in done.notes
    assert [pool["name"] for pool in load(file).pool] == ["gpu", "general"]
    again = imported(prod, file)
    assert again.pools == []
    assert file.read_text() == text


def test_policies_are_written_for_the_tasks_namespace(prod: FakeApi, tmp_path: Path) -> None:
    done = imported(prod, tmp_path / "devstack.toml")
    assert done.policies == ["ResourceQuota team", "PriorityClass important"]
    assert done.manifests is not None
    quota, important = yaml.safe_load_all(done.manifests.read_text())
    assert quota == {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "team"},
        "spec": {"hard": {"requests.cpu": "400"}},
    }
    assert important["value"] == 5


def test_what_the_account_may_not_read_is_reported(prod: FakeApi, tmp_path: Path) -> None:
    prod.refuse("GET", "/resourcequotas", 403, "Forbidden", "user ann cannot list quotas")
    done = imported(prod, tmp_path / "devstack.toml")
    assert done.policies == ["PriorityClass important"]
    assert "each ResourceQuota of namespace 'ml' is left out: user ann cannot list quotas" in (
        done.notes
    )
    prod.refuse("GET", "/nodes", 403, "Forbidden", "user ann cannot list nodes")
    with pytest.raises(DevstackError) as refused:
        imported(prod, tmp_path / "devstack.toml")
    assert refused.value.code == "POOLS_UNREADABLE"


def test_a_file_with_mistakes_is_not_changed(prod: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "devstack.toml"
    for text in ("nodes = = 1\n", "nodes = 0\n"):
        file.write_text(text)
        with pytest.raises(DevstackError) as refused:
            imported(prod, file)
        assert refused.value.code == "CONFIG_INVALID"
        assert file.read_text() == text
        assert sorted(each.name for each in tmp_path.glob("*.toml*")) == ["devstack.toml"]


def test_nodes_of_a_control_plane_and_states_are_not_imported(tmp_path: Path) -> None:
    api = FakeApi()
    control = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    cordoned = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    api.add(node("m", "", "m5.large", "z1", control, **CPU))
    api.add(node("w", "control-plane", "m5.large", "z1", cordoned, **CPU))
    imported(api, tmp_path / "devstack.toml")
    (pool,) = load(tmp_path / "devstack.toml").pool
    assert pool["name"] == "m5-large"
    assert "taints" not in pool


def test_up_applies_manifests_to_the_tasks_namespace(world: World, tmp_path: Path) -> None:
    file = tmp_path / "devstack.toml"
    (tmp_path / "own.yaml").write_text(
        yaml.safe_dump_all([{**QUOTA, "metadata": {"name": "team"}}, priority("important")])
    )
    file.write_text('manifests = ["own.yaml"]\n')
    spec: Any = load(file)
    assert "manifests" in up(world.open(spec))
    assert "/api/v1/namespaces/metaflow/resourcequotas/team" in world.api.objects
    assert "/apis/scheduling.k8s.io/v1/priorityclasses/important" in world.api.objects
    assert up(world.open(spec)) == []
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({**secret, "stringData": {"a": "b"}}))
    assert up(world.open(spec)) == ["manifests"]
    assert world.api.objects["/api/v1/namespaces/metaflow/secrets/token"]["data"] == {"a": "Yg=="}
    assert up(world.open(spec)) == []


def test_mistakes_in_manifests_are_found_before_anything_is_changed(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "own.yaml").write_text("kind: [")
    (tmp_path / "incomplete.yaml").write_text("kind: Secret\n")
    files = tuple(str(tmp_path / name) for name in ("own.yaml", "incomplete.yaml", "no.yaml"))
    spec = StackSpec(manifests=files)
    with pytest.raises(DevstackError) as refused:
        up(world.open(spec))
    assert refused.value.code == "MANIFESTS_INVALID"
    assert all(file in str(refused.value) for file in files)
    assert world.provider.calls == []
    world.provider.owns_cluster = False
    with pytest.raises(DevstackError) as refused:
        up(world.open(spec))
    assert refused.value.code == "MANIFESTS_UNSUPPORTED"
    assert world.provider.calls == []
