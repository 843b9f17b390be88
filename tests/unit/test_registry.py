"""The optional registry: off by default, and known to the nodes by the address on the host."""

from __future__ import annotations

from devstack.config import StackSpec
from devstack.images.catalogue import PRELOADED, find_images
from devstack.lifecycle.up import up
from devstack.services import SERVICES
from devstack.services.base import ServiceContext
from devstack.services.registry import RegistryService, registry_hosts
from devstack.state import StackState
from tests.fakes.stack import ConfiguringProvider, FakeService, World


def test_it_is_off_by_default_and_its_image_is_not_among_all_images() -> None:
    (service,) = [each for each in SERVICES if each.name == "registry"]
    assert service.optional
    assert not service.enabled_by_default
    assert "registry" not in {image.name for image in find_images([])}
    assert "registry" not in PRELOADED


def test_nodes_pull_from_it_by_the_names_on_the_host(world: World) -> None:
    provider = ConfiguringProvider()
    world.provider = provider
    world.services = [FakeService("rbac"), FakeService("registry", port=world.port)]
    up(world.open())
    port = world.open().state.ports["registry"]
    assert provider.settings.local == {
        f"localhost:{port}": "http://127.0.0.1:30500",
        f"127.0.0.1:{port}": "http://127.0.0.1:30500",
    }
    assert up(world.open()) == []
    assert provider.calls.count("configure_registries") == 1


def test_new_nodes_are_told_again(world: World) -> None:
    provider = ConfiguringProvider()
    world.provider = provider
    world.services = [FakeService("rbac"), FakeService("registry", port=world.port)]
    up(world.open())
    world.lose_cluster()
    up(world.open())
    assert provider.calls.count("configure_registries") == 2


def test_a_stack_without_it_tells_the_nodes_nothing(world: World) -> None:
    provider = ConfiguringProvider()
    world.provider = provider
    up(world.open(StackSpec()))
    assert provider.settings.local == {}


def test_users_push_to_loopback_without_tls() -> None:
    context = ServiceContext(StackState("mine", ports={"registry": 40500}))
    assert RegistryService().outputs(context).urls == {"registry": "http://localhost:40500"}
    assert registry_hosts(40500) == ("localhost:40500", "127.0.0.1:40500")


def test_nodes_are_told_about_mirrors_once_and_again_when_they_change(world: World) -> None:
    provider = ConfiguringProvider()
    world.provider = provider
    mirror = {"docker.io": "registry.corp:5000/hub"}
    up(world.open(StackSpec(mirror=mirror)))
    assert provider.settings.mirrors == mirror
    assert up(world.open(StackSpec(mirror=mirror))) == []
    # Without the option it is what the stack has.
    assert up(world.open(StackSpec())) == []
    assert "registries" in up(world.open(StackSpec(mirror={"quay.io": "registry.corp:5000"})))
    assert provider.settings.mirrors == {**mirror, "quay.io": "registry.corp:5000"}
    assert world.open().state.mirror == provider.settings.mirrors


def test_a_mirror_is_removed_by_an_empty_one_or_by_the_file(world: World) -> None:
    provider = ConfiguringProvider()
    world.provider = provider
    up(world.open(StackSpec(mirror={"docker.io": "a.corp", "quay.io": "b.corp"})))
    up(world.open(StackSpec(mirror={"quay.io": ""})))
    assert provider.settings.mirrors == {"docker.io": "a.corp"}
    up(world.open(StackSpec(given=frozenset({"mirror"}))))
    assert provider.settings.mirrors == {}
    assert world.open().state.mirror == {}


def test_a_mirror_on_loopback_is_for_the_engine_only(world: World) -> None:
    world.provider = ConfiguringProvider()
    mirror = {"docker.io": "localhost:5000/hub", "quay.io": "localhost.corp"}
    up(world.open(StackSpec(mirror=mirror)))
    warnings = [event[1] for event in world.progress.events if event[0] == "warn"]
    assert len(warnings) == 1
    assert "nodes cannot reach localhost:5000/hub, the mirror of docker.io" in warnings[0]
