"""Data that is kept when its cluster is deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from devstack.errors import DevstackError
from devstack.kube.volumes_on_nodes import node_of
from devstack.lifecycle import down as module
from devstack.lifecycle.down import down
from devstack.lifecycle.status import stack_status
from devstack.lifecycle.up import up
from devstack.providers.base import ClusterSpec
from tests.fakes.stack import FakeLoadingProvider, World

VOLUMES = "/api/v1/persistentvolumes"


class VolumeProvider(FakeLoadingProvider):
    """A provider whose nodes keep one text."""

    def __init__(self) -> None:
        super().__init__()
        self.content = ""
        self.saved: Mapping[str, Sequence[str]] = {}

    def save_volumes(
        self, spec: ClusterSpec, folders: Mapping[str, Sequence[str]], into: Path
    ) -> None:
        """Write the text."""
        self._record("save_volumes")
        self.saved = folders
        (into / "node.tar").write_text(self.content)

    def restore_volumes(self, spec: ClusterSpec, saved: Path) -> None:
        """Read the text."""
        self._record("restore_volumes")
        self.content = (saved / "node.tar").read_text()

    def delete(self, spec: ClusterSpec) -> None:
        """Delete the text with the cluster."""
        super().delete(spec)
        self.content = ""


def volume(phase: str = "Bound") -> dict[str, Any]:
    host = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["node"]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "pvc-1", "uid": "old", "resourceVersion": "7"},
        "spec": {
            "capacity": {"storage": "5Gi"},
            "hostPath": {"path": "/var/volumes/pvc-1"},
            "claimRef": {"namespace": "postgres", "name": "postgres", "uid": "old"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [host]}]}},
        },
        "status": {"phase": phase},
    }


@pytest.fixture
def provider(world: World) -> VolumeProvider:
    """The stack is up, and one of its volumes has contents."""
    world.provider = provider = VolumeProvider()
    up(world.open())
    provider.content = "precious"
    return provider


def test_the_contents_of_volumes_are_restored_in_the_next_cluster(
    world: World, provider: VolumeProvider, home: Path
) -> None:
    world.api.objects[f"{VOLUMES}/pvc-1"] = volume()
    before = world.open().state
    down(world.open(), keep_data=True)
    assert provider.saved == {"node": ["/var/volumes/pvc-1"]}
    assert provider.state == "absent"
    del world.api.objects[f"{VOLUMES}/pvc-1"]
    stack = world.open()
    assert "volumes" in up(stack)
    assert provider.content == "precious"
    assert (stack.state.ports, stack.state.credentials) == (before.ports, before.credentials)
    made = world.api.objects[f"{VOLUMES}/pvc-1"]
    assert made["spec"]["claimRef"] == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": "postgres",
        "name": "postgres",
    }
    assert made["metadata"]["uid"] != volume()["metadata"]["uid"]
    assert not stack.dir.volumes.exists()


def test_the_status_of_a_stack_with_kept_data_is_retained(
    world: World, provider: VolumeProvider
) -> None:
    down(world.open(), keep_data=True)
    status = stack_status(world.open())
    assert (status.state, "its data is kept" in status.detail) == ("retained", True)
    assert down(world.open(), keep_data=True) == []


def test_a_plain_down_removes_the_kept_data(
    world: World, provider: VolumeProvider, home: Path
) -> None:
    down(world.open(), keep_data=True)
    assert down(world.open()) != []
    assert not [path for path in home.rglob("*") if path.is_file()]


def test_a_cluster_whose_volumes_cannot_be_saved_is_not_deleted(
    world: World, provider: VolumeProvider
) -> None:
    provider.fails["save_volumes"] = DevstackError("cannot", code="VOLUME_UNREADABLE")
    with pytest.raises(DevstackError):
        down(world.open(), keep_data=True)
    assert provider.state == "running"
    assert world.open().state.phase == "up"


def test_unbound_volumes_are_not_kept(world: World, provider: VolumeProvider) -> None:
    world.api.objects[f"{VOLUMES}/pvc-1"] = volume("Released")
    down(world.open(), keep_data=True)
    assert provider.saved == {}


def test_a_provider_that_cannot_keep_data_is_rejected(world: World) -> None:
    up(world.open())
    with pytest.raises(DevstackError) as caught:
        down(world.open(), keep_data=True)
    assert caught.value.code == "DATA_NOT_KEPT"
    assert world.provider.state == "running"


def test_volumes_of_nodes_that_are_no_more_move_to_the_control_plane(
    world: World, provider: VolumeProvider
) -> None:
    world.api.objects[f"{VOLUMES}/pvc-1"] = volume()
    shared = volume()
    shared["metadata"]["name"] = "pvc-2"
    shared["spec"]["storageClassName"] = ""
    term = shared["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]
    term["matchExpressions"][0]["values"] = ["node", "other"]
    world.api.objects[f"{VOLUMES}/pvc-2"] = shared
    down(world.open(), keep_data=True)
    del world.api.objects[f"{VOLUMES}/pvc-1"], world.api.objects[f"{VOLUMES}/pvc-2"]
    labels = {"node-role.kubernetes.io/control-plane": ""}
    metadata = {"name": "main", "labels": labels}
    world.api.add({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
    up(world.open())
    assert node_of(world.api.objects[f"{VOLUMES}/pvc-1"]) == "main"
    assert world.api.objects[f"{VOLUMES}/pvc-2"]["spec"] == {
        **shared["spec"],
        "claimRef": world.api.objects[f"{VOLUMES}/pvc-2"]["spec"]["claimRef"],
    }


def test_the_autoscaler_removes_no_node_while_volumes_are_copied(
    world: World, provider: VolumeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_stack: object) -> None:
        assert "save_volumes" not in provider.calls
        provider.calls.append("stop")

    monkeypatch.setattr(module, "stop_autoscaler", stop)
    world.api.objects[f"{VOLUMES}/pvc-1"] = volume()
    down(world.open(), keep_data=True)
    assert "stop" in provider.calls
