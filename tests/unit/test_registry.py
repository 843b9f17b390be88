"""The optional registry: off by default, and known to the nodes by the address on the host."""

from __future__ import annotations

from typing import Any

from devstack.config import StackSpec
from devstack.images.catalogue import PRELOADED, find_images
from devstack.lifecycle.up import up
from devstack.providers.base import ClusterSpec
from devstack.providers.kind.node_images import redirect_registry
from devstack.services import SERVICES
from devstack.services.base import ServiceContext
from devstack.services.registry import RegistryService, registry_hosts
from devstack.state import StackState
from tests.fakes.stack import FakeLoadingProvider, FakeService, World


class RedirectingProvider(FakeLoadingProvider):
    """A provider that records which registries its nodes find elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.redirected: dict[str, str] = {}

    def redirect_registry(self, spec: ClusterSpec, host: str, url: str) -> None:
        """Record the registry."""
        self._record("redirect_registry")
        self.redirected[host] = url


def test_it_is_off_by_default_and_its_image_is_not_among_all_images() -> None:
    (service,) = [each for each in SERVICES if each.name == "registry"]
    assert service.optional
    assert not service.enabled_by_default
    assert "registry" not in {image.name for image in find_images([])}
    assert "registry" not in PRELOADED


def test_nodes_pull_from_it_by_the_names_on_the_host(world: World) -> None:
    provider = RedirectingProvider()
    world.provider = provider
    world.services = [FakeService("rbac"), FakeService("registry", port=world.port)]
    up(world.open())
    port = world.open().state.ports["registry"]
    assert provider.redirected == {
        f"localhost:{port}": "http://127.0.0.1:30500",
        f"127.0.0.1:{port}": "http://127.0.0.1:30500",
    }
    assert up(world.open()) == []
    assert provider.calls.count("redirect_registry") == 2


def test_new_nodes_are_told_again(world: World) -> None:
    provider = RedirectingProvider()
    world.provider = provider
    world.services = [FakeService("rbac"), FakeService("registry", port=world.port)]
    up(world.open())
    world.lose_cluster()
    up(world.open())
    assert provider.calls.count("redirect_registry") == 4


def test_a_stack_without_it_tells_the_nodes_nothing(world: World) -> None:
    provider = RedirectingProvider()
    world.provider = provider
    up(world.open(StackSpec()))
    assert provider.redirected == {}


def test_users_push_to_loopback_without_tls() -> None:
    context = ServiceContext(StackState("mine", ports={"registry": 40500}))
    assert RegistryService().outputs(context).urls == {"registry": "http://localhost:40500"}
    assert registry_hosts(40500) == ("localhost:40500", "127.0.0.1:40500")


def test_containerd_reads_where_a_registry_is_from_a_file() -> None:
    calls: list[tuple[Any, ...]] = []

    class Engine:
        def require(self, *arguments: Any) -> None:
            calls.append(arguments)

    class Node:
        name = "node"

    engine: Any = Engine()
    redirect_registry(engine, Node(), "localhost:40500", "http://127.0.0.1:30500")
    ((_node, argv, _message),) = calls
    assert argv[3] == "/etc/containerd/certs.d/localhost:40500"
    assert '[host."http://127.0.0.1:30500"]' in argv[4]
