"""Images go to the nodes while the cluster starts and others are pulled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from devstack.errors import DevstackError
from devstack.lifecycle import node_loading
from devstack.lifecycle.node_loading import NodeLoading
from devstack.providers.base import ClusterSpec
from tests.fakes.stack import FakeLoadingProvider, World
from tests.support.eventually import eventually


class Provider(FakeLoadingProvider):
    """A provider that records each load, and refuses some."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.refusals: list[DevstackError] = []

    def images_present(self, spec: ClusterSpec) -> set[str]:
        """Return what was loaded, and what nodes come with."""
        return {*super().images_present(spec), "kindest/kindnetd:1"}

    def load_images(
        self, spec: ClusterSpec, references: Sequence[str], note: Callable[[str], None]
    ) -> None:
        """Load them, or refuse."""
        if self.refusals:
            raise self.refusals.pop()
        self.batches.append(list(references))
        super().load_images(spec, references, note)


@pytest.fixture
def provider(world: World, monkeypatch: pytest.MonkeyPatch) -> Provider:
    monkeypatch.setattr(node_loading, "RETRY_SECONDS", 0.01)
    world.provider = Provider()
    world.provider.state = "running"
    return world.provider


@pytest.fixture
def loading(world: World, provider: Provider) -> Iterator[NodeLoading]:
    loading = NodeLoading(world.open())
    yield loading
    loading.cancel()


def test_images_are_loaded_as_they_arrive(
    world: World, provider: Provider, loading: NodeLoading, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = {"minio"}
    monkeypatch.setattr(world.images, "arrived", lambda names: [n for n in names if n in arrived])
    loading.start()
    loading.wait(["minio"])
    assert provider.batches == [["devstack/minio:1"]]
    arrived |= {"rbac", "task"}
    loading.wait(["rbac", "task"])
    assert provider.batches[1:] == [["devstack/rbac:1", "devstack/task:1"]]


def test_images_that_the_nodes_have_are_not_loaded(
    provider: Provider, loading: NodeLoading
) -> None:
    provider.loaded = ["devstack/minio:1"]
    loading.wait(["minio", "rbac", "task"])
    assert provider.batches == [["devstack/rbac:1", "devstack/task:1"]]


def test_nothing_is_loaded_before_there_are_nodes(provider: Provider, loading: NodeLoading) -> None:
    provider.state = "absent"
    loading.start()
    eventually("the nodes to be asked for twice", lambda: provider.calls.count("status") > 1)
    assert not provider.batches
    provider.state = "running"
    eventually("all images to be loaded", lambda: len(provider.loaded) == 3)


def test_a_failure_before_the_cluster_is_up_is_tried_again_when_it_is(
    provider: Provider, loading: NodeLoading
) -> None:
    provider.refusals = [DevstackError("the node was replaced", code="IMAGE_ADD_FAILED")]
    loading.start()
    eventually("a load to fail", lambda: not provider.refusals)
    loading.wait(["rbac", "minio", "task"])
    assert sorted(provider.loaded) == ["devstack/minio:1", "devstack/rbac:1", "devstack/task:1"]


def test_a_failure_afterwards_is_an_error(provider: Provider, loading: NodeLoading) -> None:
    provider.refusals = [DevstackError("the disk is full", code="DISK_FULL")] * 2
    with pytest.raises(DevstackError, match="the disk is full"):
        loading.wait(["task"])


def test_images_that_went_to_replaced_nodes_are_loaded_again(
    world: World, provider: Provider, loading: NodeLoading
) -> None:
    loading.start()
    title = "Load the images into the nodes"
    eventually("all images to be loaded", lambda: world.progress.states.get(title) == "done")
    provider.loaded.clear()
    loading.wait(["rbac", "minio", "task"])
    assert len(provider.loaded) == 3
