"""`up` creates, resizes and removes the nodes of pools of a stack that exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devstack.config import StackSpec, load
from devstack.errors import DevstackError
from devstack.kube.manifests import on_base_nodes
from devstack.kube.scale_down import REMOVING
from devstack.lifecycle import pools_step
from devstack.lifecycle.up import up
from devstack.pools.settings import PoolSettings
from tests.fakes.api import namespace, pod
from tests.fakes.pools import FakePoolProvider
from tests.fakes.stack import World
from tests.support.task_objects import local_volume, task_pod

A = PoolSettings(name="a", count=2, cpu=4, memory="8Gi")
B = PoolSettings(name="b", cpu=8, memory="16Gi", spot=True)
CONTROL_PLANE = "devstack-devstack-control-plane"


class Pools:
    """A stack whose pools change."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.provider = FakePoolProvider(world.api)
        world.provider = self.provider
        world.api.add(namespace("kube-system"))

    def up(self, *pools: PoolSettings) -> list[str]:
        """Bring the stack up with these pools; return what the provider did to nodes."""
        before = len(self.provider.calls)
        spec = StackSpec(pool=pools, given=frozenset({"pool"}))
        self.changed = up(self.world.open(spec))
        calls = [str(call) for call in self.provider.calls[before:]]
        return [call for call in calls if call.startswith(("ensure ", "remove "))]

    @property
    def names(self) -> list[str]:
        """The nodes that exist, without the cluster's name."""
        return sorted(name.removeprefix("devstack-devstack-") for name in self.provider.made)

    def size(self, name: str) -> tuple[int, int]:
        """Return the CPUs and GiB of a node."""
        spec = self.provider.made[f"devstack-devstack-{name}"]
        return spec.cpu, spec.memory // 1024**3


@pytest.fixture
def pools(world: World) -> Pools:
    return Pools(world)


def refused(act: Any, *arguments: Any) -> DevstackError:
    with pytest.raises(DevstackError) as caught:
        act(*arguments)
    return caught.value


def test_pools_are_added_resized_and_removed_on_a_stack_that_is_up(pools: Pools) -> None:
    pools.up()
    assert pools.names == ["control-plane"]
    pools.up(A, B)
    assert pools.names == ["a-0", "a-1", "b-0", "control-plane"]
    pools.up(PoolSettings({**A, "count": 1, "cpu": 6}), B)
    assert pools.names == ["a-0", "b-0", "control-plane"]
    assert pools.size("a-0") == (6, 8)
    pools.up(B)
    assert pools.names == ["b-0", "control-plane"]


def test_a_second_up_changes_nothing_and_writes_nothing(pools: Pools) -> None:
    pools.up(A, B)
    writes = len(pools.world.api.writes)
    assert pools.up(A, B) == []
    assert pools.changed == []
    assert len(pools.world.api.writes) == writes
    # Without --pool, the stack keeps its pools.
    assert up(pools.world.open(StackSpec())) == []


def test_pools_that_are_deleted_from_their_file_are_removed(pools: Pools, tmp_path: Path) -> None:
    file, other = tmp_path / "devstack.toml", tmp_path / "other.toml"
    file.write_text('[[pool]]\nname = "a"\n')
    other.write_text("timeout = 60\n")
    up(pools.world.open(load(file)))
    # Another file, or none, says nothing of them.
    assert up(pools.world.open(load(other))) == []
    assert up(pools.world.open(StackSpec())) == []
    assert pools.names == ["a-0", "control-plane"]
    file.write_text("timeout = 60\n")
    up(pools.world.open(load(file)))
    assert pools.names == ["control-plane"]
    # Those of the command line are not the file's to remove.
    up(pools.world.open(load(file, pool=[dict(A)])))
    assert up(pools.world.open(load(file))) == []
    assert pools.names == ["a-0", "a-1", "control-plane"]


def test_nodes_of_an_earlier_release_keep_their_size_and_up_says_so(
    pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools.up()
    monkeypatch.setattr(pools.provider, "nodes_by_name", lambda _spec: {})
    up(pools.world.open())
    said = [str(each[1]) for each in pools.world.progress.events if each[0] == "warn"]
    assert any("this machine's size" in text for text in said)
    disk = refused(pools.up, PoolSettings(name="control-plane", disk="100Gi"))
    assert disk.code == "STACK_DIFFERS"
    assert "1024 GiB" not in disk.cause
    cpu = refused(pools.up, PoolSettings(name="control-plane", cpu=8))
    assert cpu.cause == "it was brought up with the machine's"
    assert "devstack down" in cpu.remedy


def test_the_size_of_the_control_plane_changes_but_not_its_disk(pools: Pools) -> None:
    pools.up()
    pools.up(PoolSettings(name="control-plane", cpu=16, memory="32Gi"))
    assert pools.size("control-plane") == (16, 32)
    error = refused(pools.up, PoolSettings(name="control-plane", disk="100Gi"))
    assert error.code == "STACK_DIFFERS"
    assert "to 100 GiB" in str(error)


def test_a_node_with_another_disk_is_replaced(pools: Pools) -> None:
    pools.up(B)
    done = pools.up(PoolSettings({**B, "disk": "10Gi"}))
    own = [call for call in done if call.endswith("b-0")]
    assert own == ["remove devstack-devstack-b-0", "ensure devstack-devstack-b-0"]


def test_pods_are_evicted_once_new_nodes_have_joined(
    pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools.up(A, B)
    used, idle = (f"devstack-devstack-{name}" for name in ("b-0", "a-1"))
    objects, make = pools.world.api.objects, pools.provider.ensure_nodes
    pools.world.api.add(task_pod("t-1", node=used))
    seen: list[bool] = []

    def ensure_nodes(spec: Any, specs: Any) -> None:
        if "devstack-devstack-c-0" in specs:
            # The scheduler places nothing on them any more.
            seen.extend(
                objects[f"/api/v1/nodes/{name}"]["spec"].get("unschedulable", False)
                for name in (used, idle)
                if f"/api/v1/nodes/{name}" in objects
            )
            seen.append("/api/v1/namespaces/metaflow/pods/t-1" in objects)
        make(spec, specs)

    monkeypatch.setattr(pools.provider, "ensure_nodes", ensure_nodes)
    c = PoolSettings(name="c", cpu=8, memory="16Gi")
    done = pools.up(PoolSettings({**A, "count": 1}), c)
    assert seen
    assert all(seen)
    assert done[-1] == f"remove {used}"
    assert f"remove {idle}" in done
    assert pools.names == ["a-0", "c-0", "control-plane"]
    assert "/api/v1/namespaces/metaflow/pods/t-1" not in objects


def test_a_node_whose_removal_failed_takes_pods_again_if_it_is_wanted_after_all(
    pools: Pools,
) -> None:
    pools.up(A, B)
    name = "devstack-devstack-b-0"
    pools.provider.fails[f"remove {name}"] = DevstackError("Docker is gone", code="DOCKER_STOPPED")
    refused(pools.up, A)
    node = pools.world.api.objects[f"/api/v1/nodes/{name}"]
    assert node["spec"]["unschedulable"]
    pools.provider.fails.clear()
    pools.up(A, B)
    node = pools.world.api.objects[f"/api/v1/nodes/{name}"]
    assert "unschedulable" not in node["spec"]
    assert REMOVING not in node["metadata"]["annotations"]


def test_a_claim_that_appears_while_a_node_is_drained_keeps_it(
    pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools.up(A, B)
    drain = pools_step.drain

    def drain_late(*arguments: Any, **options: Any) -> None:
        drain(*arguments, **options)
        pools.world.api.add(local_volume("devstack-devstack-b-0"))

    monkeypatch.setattr(pools_step, "drain", drain_late)
    assert refused(pools.up, A).code == "NODE_HAS_VOLUMES"
    assert "b-0" in pools.names


def busy(name: str) -> Any:
    requests = {"resources": {"requests": {"cpu": "6", "memory": "8Gi"}}}
    spec = {"containers": [{"name": "c", "image": "i", **requests}], "nodeName": name}
    return pod("busy", "metaflow", {}, spec, phase="Running")


def test_a_base_node_does_not_become_smaller_than_what_runs_there(pools: Pools) -> None:
    pools.up()
    pools.world.api.add(busy(CONTROL_PLANE))
    error = refused(pools.up, PoolSettings(name="control-plane", cpu=4))
    assert error.code == "NODE_TOO_SMALL"
    assert "6" in error.cause
    # Nothing of it is saved: the stack is as it was.
    kept = pools.world.open(StackSpec())
    assert kept.state.phase == "up"
    assert not kept.state.pool
    assert up(kept) == []
    pools.up(PoolSettings(name="control-plane", cpu=7))
    assert pools.size("control-plane")[0] == 7


def test_a_node_of_a_pool_is_drained_before_it_becomes_too_small(pools: Pools) -> None:
    pools.up(B)
    pools.world.api.add(busy("devstack-devstack-b-0"))
    done = pools.up(PoolSettings({**B, "cpu": 2}))
    own = [call for call in done if call.endswith("b-0")]
    assert own == ["remove devstack-devstack-b-0", "ensure devstack-devstack-b-0"]
    assert pools.size("b-0")[0] == 2


def test_a_new_node_gets_the_images_and_the_registry(pools: Pools) -> None:
    pools.up()
    stack = pools.world.open(StackSpec())
    assert stack.state.loaded
    pools.up(B)
    assert "node-images" in pools.changed


def test_pods_are_placed_on_a_new_node_once_it_has_the_images(pools: Pools) -> None:
    pools.up()
    pools.provider.fails["load_images"] = DevstackError("the disk is full", code="DISK_FULL")
    pools.provider.loaded = []
    refused(pools.up, A)
    assert _taints(pools, "a-0") == ["devstack.dev/starting"]
    pools.provider.fails.clear()
    before = len(pools.provider.calls)
    pools.up(A)
    assert "new-nodes" in pools.changed
    assert _taints(pools, "a-0") == []
    # From now on, services come before what runs there.
    assert "limit devstack-devstack-a-0" in pools.provider.calls[before:]
    assert _taints(pools, "control-plane") == []


def test_nodes_that_were_stopped_get_the_images_that_they_lack(pools: Pools) -> None:
    pools.up(A)
    pools.provider.loaded = []
    pools.provider.state = "stopped"
    pools.up(A)
    assert pools.provider.loaded


def test_a_node_that_the_autoscaler_was_removing_stays_if_it_is_wanted_now(pools: Pools) -> None:
    burst = PoolSettings(name="burst", count=1, cpu=8, memory="32Gi")
    pools.up(burst)
    node = pools.world.api.objects["/api/v1/nodes/devstack-devstack-burst-0"]
    node["metadata"]["annotations"][REMOVING] = "true"
    node["spec"]["unschedulable"] = True
    pools.up(burst)
    assert pools.changed == ["pools"]
    node = pools.world.api.objects["/api/v1/nodes/devstack-devstack-burst-0"]
    assert REMOVING not in node["metadata"]["annotations"]
    assert "unschedulable" not in node["spec"]


def _taints(pools: Pools, name: str) -> list[str]:
    node = pools.world.api.objects[f"/api/v1/nodes/devstack-devstack-{name}"]
    return [each["key"] for each in node["spec"].get("taints", [])]


def test_a_node_with_the_data_of_a_claim_is_not_removed(pools: Pools) -> None:
    pools.up(A, B)
    pools.world.api.add(local_volume("devstack-devstack-b-0"))
    pools.world.api.add(busy("devstack-devstack-b-0"))
    other_disk, too_small = PoolSettings({**B, "disk": "10Gi"}), PoolSettings({**B, "cpu": 2})
    for changed in ((A,), (A, other_disk), (A, too_small)):
        error = refused(pools.up, *changed)
        assert error.code == "NODE_HAS_VOLUMES"
        assert "metaflow/data" in error.cause
        assert error.remedy.endswith("devstack pvc delete data --name devstack")
        # Nothing has begun.
        assert pools.world.open().state.phase == "up"
    assert "b-0" in pools.names
    pools.up(B)


def test_claims_of_other_namespaces_are_deleted_there(pools: Pools) -> None:
    pools.up(A, B)
    other = local_volume("devstack-devstack-b-0")
    other["metadata"]["name"] = "pvc-2"
    other["spec"]["claimRef"] = {"namespace": "team", "name": "moon"}
    pools.world.api.add(local_volume("devstack-devstack-b-0"), other)
    remedy = refused(pools.up, A).remedy
    assert "devstack pvc delete data --name devstack; " in remedy
    assert remedy.endswith("devstack pvc delete moon --namespace team --name devstack")


def test_the_pods_of_a_node_that_is_dead_do_not_keep_it(pools: Pools) -> None:
    pools.up(B)
    node = "devstack-devstack-b-0"
    pools.world.api.add(task_pod("t-1", node=node))
    pools.provider.kill_node(node)
    pools.up()
    assert pools.names == ["control-plane"]
    assert "/api/v1/namespaces/metaflow/pods/t-1" not in pools.world.api.objects


def test_a_container_that_a_killed_up_left_behind_is_removed(pools: Pools) -> None:
    pools.up(B)
    name = "devstack-devstack-b-0"
    # It has no node in the API, since it has not joined.
    del pools.world.api.objects[f"/api/v1/nodes/{name}"]
    pools.world.api.add(namespace("x"))
    stack = pools.world.open(StackSpec(pool=(), given=frozenset({"pool"})))
    pools.provider.remove_node = pools.provider.made.pop  # type: ignore[assignment, method-assign]
    up(stack)
    assert pools.names == ["control-plane"]


def test_nodes_that_pools_added_because_of_pods_stay(pools: Pools) -> None:
    burst = PoolSettings(name="burst", max=2, cpu=8, memory="32Gi")
    pools.up(burst)
    stack = pools.world.open(StackSpec())
    name, spec = next(iter(
        each for each in pools.provider.nodes_by_name(stack.largest_cluster).items()
        if "burst" in each[0]
    ))  # fmt: skip
    pools.provider.ensure_nodes(stack.cluster, {name: spec})
    pools.up(burst, B)
    assert "burst-0" in pools.names


def test_a_provider_without_pools_refuses_them_before_anything_starts(world: World) -> None:
    error = refused(up, world.open(StackSpec(pool=(A,))))
    assert error.code == "POOLS_UNSUPPORTED"
    assert not world.provider.calls


def test_services_stay_on_the_base_nodes_and_outlive_pods_that_use_too_much_memory() -> None:
    template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
    deployment = {"kind": "Deployment", "spec": {"template": template}}
    job = {"kind": "Job", "spec": {"template": template}}
    placed, unchanged = on_base_nodes([deployment, job])
    spec = placed["spec"]["template"]["spec"]
    assert spec["priorityClassName"] == "system-node-critical"
    (affinity,) = spec["affinity"]["nodeAffinity"].values()
    operators = [term["matchExpressions"][0]["operator"] for term in affinity["nodeSelectorTerms"]]
    assert operators == ["DoesNotExist", "In"]
    assert unchanged == job
    assert "affinity" not in template["spec"]
