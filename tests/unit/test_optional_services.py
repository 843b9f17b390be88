"""Services that a stack does without, and comes back to."""

from __future__ import annotations

import pytest

from devstack.config import StackSpec, load
from devstack.errors import DevstackError
from devstack.lifecycle.up import up
from devstack.services import SERVICES, chosen
from devstack.stack import Stack
from tests.fakes.stack import FakeService, World


def names(stack: Stack) -> list[str]:
    return [service.name for service in stack.services]


def open_without(world: World, *without: str) -> Stack:
    """Open the stack with its real services, and stand-ins for all else."""
    from devstack.stack import open_stack

    return open_stack(StackSpec(without=without), world.progress, world.runner, world.clock)


def test_what_needs_a_service_that_is_left_out_is_left_out_too() -> None:
    every = {service.name for service in SERVICES}
    assert {service.name for service in chosen(())} == every
    assert {service.name for service in chosen(("airflow",))} == every - {"airflow"}
    gone = every - {service.name for service in chosen(("postgres",))}
    assert gone == {"postgres", "metadata", "airflow"}


def test_what_is_left_out_is_remembered_until_it_is_brought_in(world: World) -> None:
    stack = world.open(StackSpec(without=("airflow",)))
    up(stack)
    assert stack.state.without == ["airflow"]
    assert world.open().spec.without == ("airflow",)
    assert world.open(StackSpec(without=("metadata",))).spec.without == ("airflow", "metadata")
    assert world.open(StackSpec(included=("airflow",))).spec.without == ()


def test_to_bring_in_a_service_brings_in_what_it_needs(world: World) -> None:
    up(world.open(StackSpec(without=("postgres",))))
    assert world.open(StackSpec(included=("airflow",))).spec.without == ()


def test_ports_of_what_is_left_out_are_kept_for_it(world: World) -> None:
    """A kind cluster's ports are fixed when it is made."""
    assert "airflow" in open_without(world, "airflow").host_ports
    assert "airflow" not in names(open_without(world, "airflow"))


def test_a_service_that_is_left_out_later_is_removed_once(world: World) -> None:
    extra = FakeService("extra")
    world.services.append(extra)
    up(world.open())
    world.services.remove(extra)
    for removed in (True, False):
        stack = world.open()
        stack.disabled = [extra]
        assert ("remove-extra" in up(stack)) == removed
        assert not [path for path in world.api.objects if path.endswith("/extra")]
        assert "extra" not in stack.state.initialized_services


@pytest.mark.parametrize("wrong", ["minio", "airfow"])
def test_only_optional_services_can_be_left_out(wrong: str) -> None:
    with pytest.raises(DevstackError) as caught:
        load(without=(wrong,))
    assert f"{wrong!r} cannot be left out; optional are airflow" in caught.value.cause


def test_airflows_settings_are_remembered_until_others_are_named(world: World) -> None:
    wanted = {"executor": "KubernetesExecutor"}
    up(world.open(StackSpec(airflow=wanted, given=frozenset({"airflow"}))))
    assert world.open().spec.airflow == wanted
    stack = world.open(StackSpec(airflow={}, given=frozenset({"airflow"})))
    assert up(stack) == ["settings"]
    assert stack.state.airflow == {}
