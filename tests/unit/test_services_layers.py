from __future__ import annotations

from dataclasses import dataclass

import pytest

from devstack.errors import DevstackError
from devstack.services import SERVICES, layers
from devstack.services.base import HostPort, Outputs, ServiceContext
from devstack.waits import Ready


@dataclass
class Part:
    """A service that only has needs."""

    name: str
    needs: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    host_ports: tuple[HostPort, ...] = ()

    def manifests(self, ctx: ServiceContext) -> list[dict[str, object]]:
        return []

    def prepare(self, ctx: ServiceContext) -> None: ...

    def observe(self, ctx: ServiceContext) -> Ready:
        return Ready()

    def outputs(self, ctx: ServiceContext) -> Outputs:
        return Outputs()


def names(*parts: Part) -> list[list[str]]:
    return [[part.name for part in layer] for layer in layers(parts)]


def test_each_layer_needs_only_earlier_ones() -> None:
    assert names(Part("c", ("a", "b")), Part("b", ("a",)), Part("a")) == [["a"], ["b"], ["c"]]


def test_services_that_need_the_same_share_a_layer() -> None:
    assert names(Part("a"), Part("b", ("a",)), Part("c", ("a",))) == [["a"], ["b", "c"]]


def test_the_namespace_comes_before_everything() -> None:
    first, *_ = layers(SERVICES)
    assert first[0].name == "rbac"


def test_the_list_is_in_the_order_of_needs() -> None:
    seen: set[str] = set()
    for service in SERVICES:
        assert seen.issuperset(service.needs)
        seen.add(service.name)


def test_an_unknown_need_is_named() -> None:
    with pytest.raises(DevstackError, match=r"'a': it needs 'nothing'") as caught:
        layers([Part("a", ("nothing",))])
    assert caught.value.code == "SERVICE_UNKNOWN"


def test_a_circle_is_named_without_what_leads_to_it() -> None:
    parts = [Part("start", ("a",)), Part("a", ("b",)), Part("b", ("c",)), Part("c", ("a",))]
    with pytest.raises(DevstackError, match=r"circle: a -> b -> c -> a$") as caught:
        layers(parts)
    assert caught.value.code == "SERVICE_CYCLE"


def test_host_ports_are_unique() -> None:
    ports = [port for service in SERVICES for port in service.host_ports]
    assert len({port.name for port in ports}) == len(ports)
    assert len({port.preferred for port in ports}) == len(ports)
