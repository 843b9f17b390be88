"""Images of users on a stack, with fakes of Docker and of the nodes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.cli.flow_images import with_pull_policy
from devstack.errors import DevstackError
from devstack.flows.environment import FlowEnvironment
from devstack.images.archive_reader import ImageArchive
from devstack.lifecycle.added_images import (
    add_image,
    ensure_current_images,
    latest_names,
    list_added,
    supply_image,
)
from devstack.lifecycle.up import up
from devstack.providers.base import ClusterSpec
from tests.fakes.api import FakeApi
from tests.fakes.runner import Call
from tests.fakes.stack import FakeLoadingProvider, World
from tests.unit.test_images_archive_reader import config, docker_archive, sha256


class AddingProvider(FakeLoadingProvider):
    """A provider that keeps the images of users by name."""

    def __init__(self) -> None:
        super().__init__()
        self.added: dict[str, str] = {}

    def image_ids(self, spec: ClusterSpec) -> dict[str, str]:
        """Return what was added."""
        return dict(self.added)

    def add_images(self, spec: ClusterSpec, archive: ImageArchive) -> None:
        """Record the images."""
        self._record("add_images")
        self.added |= {name: each.id for each in archive.images for name in each.references}


class Machine:
    """Docker with some images; the id of each is that of its configuration."""

    def __init__(self, world: World) -> None:
        self.images: dict[str, str] = {}
        self.arch = ""
        runner = world.runner
        runner.answer("docker", "save", effect=self._save)
        runner.answer("docker", "image", "ls")
        self._world = world
        self._inspect()

    def build(self, name: str, version: str = "1") -> None:
        """Build an image, or another version of it."""
        self.images[name] = version
        self._inspect()

    def remove(self, name: str) -> None:
        """Remove an image."""
        del self.images[name]
        self._inspect()

    def _inspect(self) -> None:
        lines = [
            json.dumps({"RepoTags": [name], "Id": self._id(name), "Size": 5})
            for name in self.images
        ]
        self._world.runner.answer(
            "docker", "image", "inspect", returncode=1, stdout="\n".join(lines), stderr="No such"
        )

    def _id(self, name: str) -> str:
        return f"sha256:{sha256(self._config(name))}"

    def _config(self, name: str) -> bytes:
        return config(b"layer", self.images[name].encode(), arch=self.arch)

    def _save(self, call: Call) -> None:
        path, name = Path(call.argv[3]), call.argv[-1]
        layers = (b"layer", self.images[name].encode())
        docker_archive(path, name, arch=self.arch, layers=layers)


@pytest.fixture
def provider(world: World) -> AddingProvider:
    provider = AddingProvider()
    world.provider = provider
    up(world.open())
    return provider


@pytest.fixture
def machine(world: World, provider: AddingProvider) -> Iterator[Machine]:
    machine = Machine(world)
    machine.build("team/app:1")
    return machine


def adds(provider: AddingProvider) -> int:
    return provider.calls.count("add_images")


def warnings(world: World) -> list[str]:
    return [event[1] for event in world.progress.events if event[0] == "warn"]


def test_an_image_is_added_once_and_replaced_after_a_change(
    world: World, provider: AddingProvider, machine: Machine
) -> None:
    (first,), changed = add_image(world.open(), "team/app:1")
    assert changed
    assert provider.added == {"team/app:1": first.node_id}
    assert add_image(world.open(), "team/app:1") == ([first], False)
    assert adds(provider) == 1
    machine.build("team/app:1", "2")
    (second,), changed = add_image(world.open(), "team/app:1")
    assert changed
    assert provider.added == {"team/app:1": second.node_id} != {"team/app:1": first.node_id}


def test_the_list_tells_what_is_current(
    world: World, provider: AddingProvider, machine: Machine, tmp_path: Path
) -> None:
    machine.build("team/other:1")
    add_image(world.open(), "team/app:1")
    add_image(world.open(), "team/other:1")
    add_image(world.open(), str(docker_archive(tmp_path / "a.tar", "team/file:1")))
    machine.build("team/app:1", "2")
    del provider.added["team/other:1"]
    states = {each.reference: each.state for each in list_added(world.open())}
    assert states == {"team/app:1": "outdated", "team/file:1": "current", "team/other:1": "lost"}
    provider.state = "stopped"
    assert {each.state for each in list_added(world.open())} == {"unknown"}


def test_a_run_adds_what_the_nodes_lack(
    world: World, provider: AddingProvider, machine: Machine
) -> None:
    added = ensure_current_images(world.open(), {"team/app:1", "team/unknown:1"})
    assert [each.reference for each in added] == ["team/app:1"]
    assert world.progress.states["Add team/app:1 of this machine to the nodes"] == "done"
    assert ensure_current_images(world.open(), {"team/app:1"}) == []
    assert adds(provider) == 1


def test_a_run_replaces_what_was_rebuilt_although_the_flow_does_not_name_it(
    world: World, provider: AddingProvider, machine: Machine
) -> None:
    add_image(world.open(), "team/app:1")
    machine.build("team/app:1", "2")
    assert len(ensure_current_images(world.open(), set())) == 1
    assert adds(provider) == 2


def test_an_image_that_cannot_be_added_stops_only_flows_that_name_it(
    world: World, provider: AddingProvider, machine: Machine
) -> None:
    add_image(world.open(), "team/app:1")
    machine.arch = "mips"
    machine.build("team/app:1", "2")
    machine.build("team/other:1")
    assert ensure_current_images(world.open(), set()) == []
    (warning,) = warnings(world)
    assert warning.startswith("team/app:1 is not updated on the nodes: the image is for mips")
    for name in ("team/app:1", "team/other:1"):
        with pytest.raises(DevstackError) as caught:
            ensure_current_images(world.open(), {name})
        assert caught.value.code == "IMAGE_ARCHITECTURE"


def test_images_of_kubernetes_are_left_to_the_nodes(
    world: World, provider: AddingProvider, machine: Machine
) -> None:
    machine.build("registry.k8s.io/pause:3.10")
    assert ensure_current_images(world.open(), {"registry.k8s.io/pause:3.10"}) == []
    assert not supply_image(world.open(), "registry.k8s.io/pause:3.10")


def test_a_run_without_images_asks_neither_machine_nor_nodes(
    world: World, provider: AddingProvider
) -> None:
    stack = world.open()
    before = len(world.runner.calls)
    assert ensure_current_images(stack, set()) == []
    assert len(world.runner.calls) == before


def test_an_image_that_came_to_the_nodes_otherwise_is_not_copied(
    world: World, provider: AddingProvider, machine: Machine
) -> None:
    (image,), _ = add_image(world.open(), "team/app:1")
    world.open().dir.write_file("images.json", "broken")
    assert ensure_current_images(world.open(), {"team/app:1"}) == []
    assert adds(provider) == 1
    assert [each.reference for each in list_added(world.open())] == [image.reference]


def test_an_image_from_a_file_is_not_replaced_by_the_machines(
    world: World, provider: AddingProvider, machine: Machine, tmp_path: Path
) -> None:
    add_image(world.open(), str(docker_archive(tmp_path / "a.tar", "team/app:1")))
    assert ensure_current_images(world.open(), {"team/app:1"}) == []
    assert warnings(world) == []
    # Added by its name, the machine's own replaces it.
    assert add_image(world.open(), "team/app:1")[1]
    assert adds(provider) == 2


@pytest.mark.parametrize("before", [True, False])
def test_a_version_that_was_built_after_an_image_came_from_a_file_is_named(
    world: World, provider: AddingProvider, machine: Machine, tmp_path: Path, before: bool
) -> None:
    if not before:
        machine.remove("team/app:1")
    add_image(world.open(), str(docker_archive(tmp_path / "a.tar", "team/app:1")))
    assert [each.state for each in list_added(world.open())] == ["current"]
    machine.build("team/app:1", "2")
    assert ensure_current_images(world.open(), set()) == []
    assert warnings(world) == []
    assert ensure_current_images(world.open(), {"team/app:1"}) == []
    assert "devstack images add team/app:1" in warnings(world)[0]
    assert [each.state for each in list_added(world.open())] == ["outdated"]
    assert add_image(world.open(), "team/app:1")[1]
    assert [each.state for each in list_added(world.open())] == ["current"]


def test_a_file_is_added_without_docker(
    world: World, provider: AddingProvider, tmp_path: Path
) -> None:
    stopped = DevstackError("cannot use Docker", code="DOCKER_STOPPED")
    world.runner.answer("docker", "image", "inspect", error=stopped)
    path = docker_archive(tmp_path / "a.tar", "team/app:1")
    assert add_image(world.open(), str(path))[1]


def test_a_new_cluster_has_none_of_the_images(
    world: World, provider: AddingProvider, machine: Machine
) -> None:
    add_image(world.open(), "team/app:1")
    world.lose_cluster()
    provider.added.clear()
    up(world.open())
    assert list_added(world.open()) == []
    assert len(ensure_current_images(world.open(), {"team/app:1"})) == 1


def test_a_pod_gets_the_image_that_it_waits_for_if_this_machine_has_it(
    world: World, provider: AddingProvider, machine: Machine
) -> None:
    assert supply_image(world.open(), "docker.io/team/app:1")
    assert "team/app:1" in provider.added
    assert not supply_image(world.open(), "team/unknown:1")


def test_only_the_tag_latest_needs_a_pull_policy(
    world: World, provider: AddingProvider, machine: Machine
) -> None:
    add_image(world.open(), "team/app:1")
    assert latest_names(world.open()) == []
    machine.build("app:latest")
    add_image(world.open(), "app")
    assert latest_names(world.open()) == ["app:latest"]
    env = FlowEnvironment({}, Path(sys.executable), "flows", FakeApi().client(), Path("logs"))
    variable = "METAFLOW_KUBERNETES_IMAGE_PULL_POLICY"
    changed = with_pull_policy(world.open(), env, {"app:latest"})
    assert changed.environment[variable] == "IfNotPresent"
    # A registry may have a later version of another image.
    assert variable not in with_pull_policy(world.open(), env, {"python:latest"}).environment


def test_a_provider_without_nodes_on_this_machine_adds_none(world: World) -> None:
    up(world.open())
    with pytest.raises(DevstackError) as caught:
        add_image(world.open(), "team/app:1")
    assert caught.value.code == "IMAGES_UNSUPPORTED"
    assert ensure_current_images(world.open(), {"team/app:1"}) == []


def test_a_stack_that_is_not_up_is_named(
    world: World, provider: AddingProvider, machine: Machine
) -> None:
    provider.state = "stopped"
    with pytest.raises(DevstackError) as caught:
        add_image(world.open(), "team/app:1")
    assert (caught.value.code, caught.value.remedy) == ("STACK_DOWN", "devstack up --name devstack")
