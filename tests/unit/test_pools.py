"""Node pools: settings, nodes and the files of their sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devstack.kube.client import Object
from devstack.kube.pool_nodes import (
    DEVICES_ANNOTATION,
    ensure_attributes,
    lacks_attributes,
    missing_devices,
)
from devstack.pools.instance_types import GIB, INSTANCE_TYPES
from devstack.pools.mistakes import pool_mistakes
from devstack.pools.nodes import NodeSpec, base_node, pool_nodes
from devstack.pools.scaling import Scaling, largest, scaling_of, smallest
from devstack.pools.settings import SPOT_TAINT, PoolSettings, parse_pool
from devstack.providers.kind.node_size import has_size, size_mounts, write_size
from tests.fakes.api import FakeApi


def nodes(**pool: Any) -> list[NodeSpec]:
    return pool_nodes([PoolSettings(name="p", **pool)])


def test_an_instance_type_has_the_size_and_the_devices_that_its_vendor_states() -> None:
    (node,) = nodes(instance_type="p3.8xlarge")
    assert (node.cpu, node.memory) == (32, 244 * GIB)
    assert node.extended == {"nvidia.com/gpu": 4}
    assert node.labels["node.kubernetes.io/instance-type"] == "p3.8xlarge"


def test_a_pool_overrides_its_instance_type() -> None:
    (node,) = nodes(instance_type="p3.8xlarge", cpu=8, memory="10G", gpu={"vendor": "amd"})
    assert (node.cpu, node.memory) == (8, 10**10)
    assert node.extended == {"amd.com/gpu": 1}


def test_zones_are_shared_out_and_have_their_region() -> None:
    found = nodes(count=3, zones=("us-east-1a", "europe-west4-b"))
    zones = [node.labels["topology.kubernetes.io/zone"] for node in found]
    regions = [node.labels["topology.kubernetes.io/region"] for node in found]
    assert zones == ["us-east-1a", "europe-west4-b", "us-east-1a"]
    assert regions == ["us-east-1", "europe-west4", "us-east-1"]


def test_a_spot_pool_has_the_taint_and_the_labels_of_spot_nodes() -> None:
    (node,) = nodes(spot=True, taints=("team=a:NoExecute",), labels={"team": "a"})
    assert node.taints == ("team=a:NoExecute", SPOT_TAINT)
    assert node.labels["karpenter.sh/capacity-type"] == "spot"
    assert node.labels["team"] == "a"


def test_the_option_of_the_command_line_means_the_same_as_a_table() -> None:
    text = "name=gpu,count=2,instance-type=p3.8xlarge,zones=a1+b1,gpu=amd:3,spot"
    assert parse_pool(text) == {
        "name": "gpu",
        "count": 2,
        "instance_type": "p3.8xlarge",
        "zones": ["a1", "b1"],
        "gpu": {"vendor": "amd", "count": 3},
        "spot": True,
    }


def test_a_pool_that_scales_has_its_least_and_its_most_nodes() -> None:
    pools = [PoolSettings(name="a", min=1, max=3, delay=5), PoolSettings(name="b", count=2)]
    assert [node.pool for node in pool_nodes(smallest(pools))] == ["a", "b", "b"]
    assert [node.pool for node in pool_nodes(largest(pools))] == ["a", "a", "a", "b", "b"]
    assert scaling_of(pools[0]) == Scaling(1, 3, 5, 60)
    assert scaling_of(pools[1]) is None


@pytest.mark.parametrize(
    ("pools", "mistake"),
    [
        ([{}], "pool number 1 has no name"),
        ([{"name": "a"}, {"name": "a"}], "pool 'a' is defined twice"),
        ([{"name": "a", "instance_type": "p3.8xlage"}], "did you mean 'p3.8xlarge'?"),
        ([{"name": "a", "min": 1}], "min has no effect without max"),
        ([{"name": "a", "max": 2, "count": 1}], "count and max exclude each other"),
        ([{"name": "a", "max": 2, "min": 3}], "min is 3, which is more than max, 2"),
        ([{"name": "control-plane", "max": 2}], "neither added nor removed"),
        ([{"name": "a", "instance_type": "bad value!", "cpu": 1, "memory": "1Gi"}], "of a label"),
        ([{"name": "a", "taints": ["k=-x:NoSchedule"]}], "is not a taint"),
        ([{"name": "a", "taints": [f"k={'x' * 64}:NoSchedule"]}], "is not a taint"),
        (
            [{"name": "a", "taints": ["k=a:NoSchedule", "k=b:NoSchedule"]}],
            "the same key and effect",
        ),
        ([{"name": "a", "spot": True, "taints": [SPOT_TAINT]}], "as spot = true"),
        ([{"name": "a", "taints": ["devstack.dev/starting:NoSchedule"]}], "by devstack or Kube"),
        ([{"name": "a", "labels": {"kubernetes.io/arch": "arm64"}}], "by devstack or Kubernetes"),
    ],
)
def test_mistakes_are_named(pools: list[dict[str, Any]], mistake: str) -> None:
    assert mistake in "; ".join(pool_mistakes(pools))


def test_the_base_nodes_do_not_count_as_nodes_of_pools() -> None:
    assert pool_mistakes([{"name": "a", "count": 20}, {"name": "control-plane", "cpu": 8}]) == []


def test_all_mistakes_of_all_pools_are_reported_at_once() -> None:
    pools: list[dict[str, Any]] = [
        {"name": "a", "cpu": 0, "count": 10_000, "memory": "64 Gi", "taints": ["x=y:Never"]},
        {"name": "b", "labels": {"a b": "c", "kubernetes.io/hostname": "x"}, "disk": "1Mi"},
        {"name": "control-plane", "count": 2, "cpu": 1, "spot": True, "memory": "1Gi"},
        {"name": "much-too-long-a-name-of-a-pool", "extended": {"gpu": 1}, "size": 3},
        {"name": "c", "count": 15},
        {"name": "d", "count": 6, "instance_type": 5},
    ]
    found = pool_mistakes(pools)
    for mistake in (
        "pool 'a': cpu: 0 is not a number of CPUs from 1 to 1024",
        "pool 'a': count: 10000 is not a number from 0 to 20",
        "pool 'a': memory: '64 Gi' is not a quantity of bytes such as '64Gi'",
        "pool 'a': taints: 'x=y:Never' is not a taint such as 'key=value:NoSchedule'",
        "pool 'b': labels: 'a b' is not the name of a label",
        "pool 'b': labels: 'kubernetes.io/hostname' is set by devstack or Kubernetes itself",
        "pool 'b': disk: '1Mi' is not between 1024Mi and 8Ti",
        "pool 'control-plane': count: --nodes is the number of these nodes",
        "pool 'control-plane': cpu: the stack's own services need 2",
        "pool 'control-plane': memory: the stack's own services need 3Gi",
        "pool 'control-plane': spot: the stack's own services run on these nodes",
        "pool 'd': instance_type: 5 is not the value of a label: at most 63 letters, digits, '.',"
        " '_', '-'",
    ):
        assert mistake in found
    for part in ("unknown setting 'size'", "'gpu' is not the name of a resource", "is not a name"):
        assert any(part in each for each in found)
    assert any(each.startswith("the pools have 2") for each in found)


@pytest.mark.parametrize("pools", ["gpu", {"name": "a"}, [1]])
def test_what_is_no_list_of_tables_is_one_mistake(pools: object) -> None:
    assert len(pool_mistakes(pools)) == 1


def test_the_command_line_is_checked_like_the_file() -> None:
    table = parse_pool("name=a,cpu=0,count=many,memory=lots,gpu=x,labels=a b=c,taints=k=v:Never")
    assert len(pool_mistakes([table])) == 6
    text = "name=a,labels=team=a+stage=b,taints=k=v:NoSchedule+l:NoExecute"
    table = parse_pool(f"{text},extended=example.com/fpga=2,disk=10Gi")
    assert table["labels"] == {"team": "a", "stage": "b"}
    assert table["taints"] == ["k=v:NoSchedule", "l:NoExecute"]
    assert table["extended"] == {"example.com/fpga": 2}
    assert pool_mistakes([table]) == []


def test_an_unknown_instance_type_with_a_size_is_a_label_only() -> None:
    pool = {"name": "a", "instance_type": "own.large", "cpu": 2, "memory": "4Gi"}
    assert pool_mistakes([pool]) == []
    assert "own.large" not in INSTANCE_TYPES


def test_the_files_of_a_size_are_what_cadvisor_reads(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    assert write_size(folder, NodeSpec("p", cpu=16, memory=64 * GIB))
    assert "MemTotal:           67108864 kB" in (folder / "meminfo").read_text()
    assert len(list((folder / "cpu").glob("cpu[0-9]*"))) == 16
    assert (folder / "cpu" / "online").read_text() == "0-15\n"
    # With a topology, the kubelet would write a CPU set that the kernel rejects.
    assert not list((folder / "node").iterdir())
    assert [mount["containerPath"] for mount in size_mounts(folder)] == [
        "/proc/meminfo",
        "/sys/devices/system/node",
        "/sys/devices/system/cpu",
    ]


def test_a_size_is_changed_in_the_files_that_the_node_has_mounted(tmp_path: Path) -> None:
    small, large = NodeSpec("p", cpu=2, memory=GIB), NodeSpec("p", cpu=12, memory=1024 * GIB)
    folder = tmp_path / "node"
    write_size(folder, large)
    before = {file: (folder / file).stat().st_ino for file in ("meminfo", "cpu")}
    assert not has_size(folder, small)
    assert write_size(folder, small)
    assert has_size(folder, small)
    assert not write_size(folder, small)
    assert len(list((folder / "cpu").glob("cpu[0-9]*"))) == 2
    assert {file: (folder / file).stat().st_ino for file in before} == before


def test_the_nodes_of_every_cluster_are_large_unless_their_pool_says_otherwise() -> None:
    default = base_node()
    assert (default.cpu, default.memory) == (64, 256 * GIB)
    assert default.extended == {"nvidia.com/gpu": 8}
    pools = [PoolSettings(name="a"), PoolSettings(name="control-plane", cpu=2, memory="4Gi")]
    assert (base_node(pools).cpu, base_node(pools).memory) == (2, 4 * GIB)
    assert [node.pool for node in pool_nodes(pools)] == ["a"]


def test_a_node_that_is_as_specified_is_not_changed() -> None:
    (spec,) = nodes(spot=True, gpu={"count": 2})
    taint = {"key": "node.kubernetes.io/lifecycle", "value": "spot", "effect": "NoSchedule"}
    devices = {DEVICES_ANNOTATION: '{"nvidia.com/gpu": 2}'}
    record = json.dumps({"labels": spec.labels, "taints": spec.taints}, sort_keys=True)
    annotations = {**devices, "devstack.dev/attributes": record}
    node: Object = {
        "metadata": {"name": "n", "labels": dict(spec.labels), "annotations": annotations},
        "spec": {"taints": [taint]},
    }
    assert not lacks_attributes(node, spec)
    assert lacks_attributes({**node, "metadata": {**node["metadata"], "annotations": {}}}, spec)
    node["spec"] = {}
    assert lacks_attributes(node, spec)


def test_nodes_get_what_they_lack_and_keep_the_taints_of_others() -> None:
    (spec,) = nodes(spot=True, gpu={"count": 2})
    other = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    api = FakeApi()
    api.add(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "n", "annotations": {"kubeadm": "socket"}},
            "spec": {"taints": [other]},
        }
    )
    client = api.client()
    ensure_attributes(client, {"n": spec})
    node = client.get("v1", "Node", "n")
    assert node["metadata"]["labels"].items() >= spec.labels.items()
    assert node["metadata"]["annotations"].keys() >= {"kubeadm", DEVICES_ANNOTATION}
    assert other in node["spec"]["taints"]
    assert missing_devices(node) == "nvidia.com/gpu"
    writes = client.writes
    ensure_attributes(client, {"n": spec})
    assert client.writes == writes


def test_nodes_lose_what_their_pool_no_longer_has() -> None:
    other = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
    starting = {"key": "devstack.dev/starting", "effect": "NoSchedule"}
    api = FakeApi()
    metadata = {"name": "n", "labels": {"kubernetes.io/hostname": "n"}}
    spec = {"taints": [other, starting]}
    api.add({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec})
    client = api.client()
    (before,) = nodes(spot=True, labels={"team": "a"}, taints=("team=a:NoSchedule",))
    ensure_attributes(client, {"n": before})
    # The value of a taint changes; there may be only one of a key and an effect.
    (after,) = nodes(taints=("team=b:NoSchedule",))
    ensure_attributes(client, {"n": after})
    node = client.get("v1", "Node", "n")
    assert node["metadata"]["labels"] == {
        "kubernetes.io/hostname": "n",
        "devstack.dev/pool": after.pool,
    }
    changed = {"key": "team", "value": "b", "effect": "NoSchedule"}
    assert node["spec"]["taints"] == [other, starting, changed]
    assert not lacks_attributes(node, after)
