"""Pools, quotas, limit ranges and priority classes of another cluster, for this stack."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest
import yaml

from devstack.config import StackSpec, load
from devstack.errors import DevstackError
from devstack.kube.client import Object
from devstack.kube.interruption import is_spot
from devstack.lifecycle.import_pools import Imported, import_pools
from devstack.lifecycle.up import up
from devstack.pools.nodes import pool_nodes
from tests.fakes.api import FakeApi
from tests.fakes.stack import World

GIB = 1024**3
SPOT = {"key": "node.kubernetes.io/lifecycle", "value": "spot", "effect": "NoSchedule"}


@pytest.fixture(autouse=True)
def amd64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run on a machine of the architecture that most nodes of the tests have."""
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


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


def plain(name: str, kind: str = "", taints: tuple[Object, ...] = (), **labels: str) -> Object:
    made = node(name, "", kind, "", *taints, **CPU)
    given = {key.replace("__", "/").replace("_", "-"): value for key, value in labels.items()}
    made["metadata"]["labels"] = {"kubernetes.io/os": "linux", **given}
    if kind:
        made["metadata"]["labels"]["node.kubernetes.io/instance-type"] = kind
    return made


def of_nodes(tmp_path: Path, *nodes: Object, text: str = "", at_most: int = 2) -> Imported:
    api = FakeApi()
    api.add(*nodes)
    if text:
        (tmp_path / "devstack.toml").write_text(text)
    return imported(api, tmp_path / "devstack.toml", at_most)


def grouped(group: str, count: int = 1, zones: str = "a") -> list[Object]:
    names = [f"{group}-{index}" for index in range(count)]
    return [
        node(name, group, "m5.large", f"z-1{zones[index % len(zones)]}", **CPU)
        for index, name in enumerate(names)
    ]


def test_long_names_of_node_groups_become_different_valid_names(tmp_path: Path) -> None:
    groups = ("ml-training-gpu-large-us-east-1", "ml-training-gpu-large-us-west-1")
    done = of_nodes(tmp_path, *grouped(groups[0]), *grouped(groups[1]))
    assert done.pools == ["ml-training-gpu-larg", "ml-training-gpu-la-2"]
    assert [pool["name"] for pool in load(tmp_path / "devstack.toml").pool] == done.pools


def test_sizes_that_a_pool_cannot_have_are_limited_with_a_note(tmp_path: Path) -> None:
    large = plain("a")
    large["status"] = {
        "capacity": {"cpu": "2000"},
        "allocatable": {"memory": "300Mi", "ephemeral-storage": "28Ti"},
    }
    done = of_nodes(tmp_path, large)
    (pool,) = load(tmp_path / "devstack.toml").pool
    assert (pool["cpu"], pool["memory"], pool["disk"]) == (1024, "512Mi", "8192Gi")
    assert done.notes == [
        "pool 'nodes': cpu is 1024, the most, instead of 2000",
        "pool 'nodes': memory is 512Mi, the least, instead of 300Mi",
        "pool 'nodes': disk is 8192Gi, the most, instead of 28672Gi",
    ]


def test_the_nodes_that_the_file_has_count(tmp_path: Path) -> None:
    text = '[[pool]]\nname = "mine"\ncount = 19\n\n[[pool]]\nname = "control-plane"\ncpu = 8\n'
    done = of_nodes(tmp_path, *grouped("x", 2), text=text)
    assert (done.pools, done.nodes) == (["x"], 1)
    assert "a stack has at most 20 nodes in pools: 1 of 2 are left out" in done.notes[0]


def test_each_pool_gets_a_node_before_one_gets_a_second(tmp_path: Path) -> None:
    nodes = [each for index in range(12) for each in grouped(f"g{index}", 2, zones="ab")]
    done = of_nodes(tmp_path, *nodes)
    assert len(done.pools) == 12
    assert done.nodes == 20
    assert "pool 'g11' has no node in zone z-1b" in done.notes


def test_labels_of_single_nodes_do_not_split_a_pool(tmp_path: Path) -> None:
    nodes = [
        plain(f"n{index}", "p3.8xlarge", nvidia_com__stamp=str(index), team="a")
        for index in range(3)
    ]
    done = of_nodes(tmp_path, *nodes, plain("other", "p3.8xlarge", team="b"))
    assert done.nodes == 3
    first, other = load(tmp_path / "devstack.toml").pool
    assert (first["labels"], other["labels"]) == ({"team": "a"}, {"team": "b"})
    assert done.notes == ["labels with another value on each node are left out: nvidia-com/stamp"]


def test_two_nodes_of_different_teams_are_not_one_pool(tmp_path: Path) -> None:
    of_nodes(tmp_path, plain("n1", team="a"), plain("n2", team="b"))
    assert len(load(tmp_path / "devstack.toml").pool) == 2


def test_a_taint_that_gpu_pods_tolerate_by_themselves_is_left_out(tmp_path: Path) -> None:
    taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    done = of_nodes(tmp_path, node("g", "gpu", "p3.8xlarge", "z-1a", taint, **GPU))
    (pool,) = load(tmp_path / "devstack.toml").pool
    assert "taints" not in pool
    assert "the taint nvidia.com/gpu=present:NoSchedule is left out" in done.notes[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("eks.amazonaws.com/capacityType", "SPOT"),
        ("karpenter.sh/capacity-type", "spot"),
        ("cloud.google.com/gke-spot", "true"),
        ("kubernetes.azure.com/scalesetpriority", "spot"),
    ],
)
def test_spot_nodes_of_each_vendor_can_be_interrupted(tmp_path: Path, key: str, value: str) -> None:
    spot = plain("s")
    spot["metadata"]["labels"][key] = value
    of_nodes(tmp_path, spot)
    (made,) = pool_nodes(load(tmp_path / "devstack.toml").pool)
    assert is_spot({"metadata": {"labels": made.labels}})
    assert made.taints == ()


def test_passing_taints_and_nodes_of_other_systems_are_not_imported(tmp_path: Path) -> None:
    passing = [
        {"key": key, "effect": "NoSchedule"}
        for key in ("karpenter.sh/disrupted", "node.cilium.io/agent-not-ready")
    ]
    master = {"key": "node-role.kubernetes.io/master", "effect": "NoSchedule"}
    windows = plain("w", kubernetes_io__os="windows")
    windows["metadata"]["labels"]["kubernetes.io/os"] = "windows"
    arm = plain("a", taints=tuple(passing))
    arm["metadata"]["labels"]["kubernetes.io/arch"] = "arm64"
    done = of_nodes(tmp_path, windows, arm, plain("m", taints=(master,)))
    (pool,) = load(tmp_path / "devstack.toml").pool
    assert "taints" not in pool
    assert done.notes == [
        "nodes without Linux are left out: 1",
        "nodes of arm64 become nodes of this machine's architecture",
    ]


def test_policies_that_were_edited_are_not_overwritten(prod: FakeApi, tmp_path: Path) -> None:
    imported(prod, tmp_path / "devstack.toml")
    policies = tmp_path / "devstack-policies.yaml"
    policies.write_text("# ours\n")
    done = imported(prod, tmp_path / "devstack.toml")
    assert policies.read_text() == "# ours\n"
    assert (done.policies, done.manifests) == ([], None)
    assert any("has other content and stays as it is" in note for note in done.notes)


def test_policies_are_not_written_if_the_settings_cannot_be(prod: FakeApi, tmp_path: Path) -> None:
    with pytest.raises(DevstackError) as refused:
        imported(prod, tmp_path / "missing" / "devstack.toml")
    assert refused.value.code == "CONFIG_INVALID"
    assert "a folder that exists" in refused.value.remedy
    file = tmp_path / "devstack.toml"
    file.write_text("[[pool]]\n")
    with pytest.raises(DevstackError):
        imported(prod, file)
    assert [each.name for each in tmp_path.iterdir()] == ["devstack.toml"]


@pytest.mark.parametrize("text", ["pool = []\n", 'pool = [{name = "a"}]\n', '[pool]\nname = "a"\n'])
def test_pools_that_tables_cannot_follow_are_an_error_of_the_file(
    prod: FakeApi, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "devstack.toml"
    file.write_text(text)
    with pytest.raises(DevstackError) as refused:
        imported(prod, file)
    assert refused.value.code == "CONFIG_INVALID"
    assert f"{file}" in refused.value.message
    assert "[[pool]]" in refused.value.cause
    assert file.read_text() == text


def test_the_file_keeps_its_link_and_its_line_ends(prod: FakeApi, tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "devstack.toml"
    real.write_bytes(b"nodes = 2\r\n")
    link.symlink_to(real)
    imported(prod, link)
    assert link.is_symlink()
    assert real.read_bytes().count(b"\n") == real.read_bytes().count(b"\r\n") > 5
    assert len(load(link).pool) == 2


def test_the_error_of_another_cluster_names_its_context(prod: FakeApi, tmp_path: Path) -> None:
    prod.refuse("GET", "/nodes", 401, "Unauthorized", "the token has expired")
    with pytest.raises(DevstackError) as refused:
        imported(prod, tmp_path / "devstack.toml")
    assert refused.value.remedy == "log in to that cluster: kubectl --context fake get nodes"


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
