from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from devstack.errors import DevstackError
from devstack.images.catalogue import IMAGES
from devstack.samples.catalogue import ALL_SAMPLES
from devstack.services import SERVICES
from devstack.services.base import Service, ServiceContext
from devstack.services.selection import (
    disabled_services,
    enabled_services,
    require_dependencies,
    required_services,
    sort_by_dependencies,
)
from devstack.waits import Ready


class FakeService(Service):
    """A service with nothing but its declaration."""

    def __init__(
        self, name: str, needs: Sequence[str] = (), *, optional: bool = True, default: bool = True
    ) -> None:
        self.name = name
        self.needs = tuple(needs)
        self.optional = optional
        self.enabled_by_default = default

    def observe(self, ctx: ServiceContext) -> Ready:
        return Ready()


class RequiredService(FakeService):
    """A service off by default that a setting requires."""

    def required_by(self, airflow: Mapping[str, Any]) -> str:
        return "queue = true" if airflow.get("queue") else ""


DATABASE = (
    FakeService("base", optional=False),
    FakeService("db"),
    FakeService("web", ["base", "db"]),
)
EXTRA = (
    *DATABASE,
    FakeService("queue", default=False),
    FakeService("worker", ["queue", "db"], default=False),
)


def names(services: Sequence[Service]) -> list[str]:
    return [service.name for service in services]


def test_each_service_starts_after_its_dependencies() -> None:
    parts = [FakeService("c", ("a", "b")), FakeService("b", ("a",)), FakeService("a")]
    assert names(sort_by_dependencies(parts)) == ["a", "b", "c"]


def test_independent_services_keep_their_order() -> None:
    parts = [FakeService("x", ("b",)), FakeService("b"), FakeService("a"), FakeService("y", ("a",))]
    assert names(sort_by_dependencies(parts)) == ["b", "x", "a", "y"]


def test_an_unknown_dependency_is_named() -> None:
    with pytest.raises(DevstackError, match=r"'a': it needs 'nothing'") as caught:
        sort_by_dependencies([FakeService("a", ("nothing",))])
    assert caught.value.code == "SERVICE_UNKNOWN"


def test_a_cycle_is_named_without_the_services_outside_it() -> None:
    parts = [
        FakeService("start", ("a",)),
        FakeService("a", ("b",)),
        FakeService("b", ("c",)),
        FakeService("c", ("a",)),
    ]
    with pytest.raises(DevstackError, match=r"cycle: a -> b -> c -> a$") as caught:
        sort_by_dependencies(parts)
    assert caught.value.code == "SERVICE_CYCLE"


def test_a_service_that_needs_itself_is_a_cycle() -> None:
    with pytest.raises(DevstackError, match=r"cycle: a -> a$") as caught:
        sort_by_dependencies([FakeService("a", ("a",))])
    assert caught.value.code == "SERVICE_CYCLE"


def test_by_default_only_services_off_by_default_are_left_out() -> None:
    assert disabled_services(DATABASE) == ()
    assert disabled_services(EXTRA) == ("queue", "worker")


def test_including_a_service_includes_what_it_needs() -> None:
    assert disabled_services(EXTRA, included=["worker"]) == ()
    assert disabled_services(EXTRA, included=["web"], saved_without=["db"]) == ("queue", "worker")


def test_the_selection_of_an_existing_stack_is_kept() -> None:
    assert disabled_services(EXTRA, saved_included=["queue"]) == ("worker",)
    assert disabled_services(DATABASE, saved_without=["web"]) == ("web",)


def test_a_state_of_an_older_release_leaves_out_dependants_too() -> None:
    assert disabled_services(DATABASE, saved_without=["db"]) == ("db", "web")


def test_a_service_that_no_longer_exists_is_ignored_in_the_state() -> None:
    saved = {"saved_without": ["gone"], "saved_included": ["gone"]}
    assert disabled_services(DATABASE, **saved) == ()


def test_leaving_out_what_another_service_needs_is_rejected_with_the_flag_to_add() -> None:
    with pytest.raises(DevstackError) as caught:
        require_dependencies(DATABASE, ["db"])
    error = caught.value
    assert (error.code, error.exit_status) == ("SERVICE_NEEDED", 2)
    assert str(error) == "cannot leave out db: web needs it"
    assert error.remedy == "add --without web"
    require_dependencies(DATABASE, ["db", "web"])


def test_a_service_is_never_enabled_without_what_it_needs() -> None:
    assert names(enabled_services(DATABASE, ["db"])) == ["base"]
    assert names(enabled_services(DATABASE, [])) == ["base", "db", "web"]


REQUIRING = (
    FakeService("base", optional=False),
    FakeService("airflow"),
    RequiredService("queue", default=False),
)


def test_a_service_is_included_as_long_as_a_setting_requires_it() -> None:
    assert required_services(REQUIRING, ["queue"], [{"queue": True}]) == ("queue",)
    assert required_services(REQUIRING, ["queue"], []) == ()
    assert required_services(REQUIRING, [], [{"queue": True}]) == ()
    assert required_services(REQUIRING, ["queue", "airflow"], []) == ()


def test_leaving_out_what_a_setting_requires_is_rejected_with_the_setting() -> None:
    with pytest.raises(DevstackError) as caught:
        required_services(REQUIRING, ["queue"], [{"queue": True}], without=["queue"])
    assert str(caught.value) == ("cannot leave out queue: Airflow's setting queue = true needs it")
    assert (caught.value.code, caught.value.exit_status) == ("SERVICE_NEEDED", 2)


@pytest.mark.parametrize(
    ("without", "cause"),
    [
        (["db"], "it needs db, which is left out"),
        (["web"], "it is left out at the same time"),
    ],
)
def test_contradicting_flags_are_rejected(without: list[str], cause: str) -> None:
    with pytest.raises(DevstackError) as caught:
        disabled_services(DATABASE, without=without, included=["web"])
    assert (caught.value.code, caught.value.cause) == ("SERVICE_CONFLICT", cause)


@pytest.mark.parametrize("flag", ["without", "included"])
def test_an_unknown_service_suggests_the_closest_match(flag: str) -> None:
    with pytest.raises(DevstackError) as caught:
        disabled_services(DATABASE, **{flag: ["webb"]})
    error = caught.value
    assert (error.code, error.exit_status) == ("SERVICE_UNKNOWN", 2)
    assert str(error) == "there is no service 'webb': did you mean 'web'?"
    assert error.remedy == "optional services are db, web"


def test_a_service_that_every_stack_has_cannot_be_left_out() -> None:
    with pytest.raises(DevstackError, match="cannot leave out base") as caught:
        disabled_services(DATABASE, without=["base"])
    assert caught.value.code == "SERVICE_REQUIRED"


def test_services_are_listed_dependencies_first() -> None:
    assert names(SERVICES) == names(sort_by_dependencies(SERVICES))
    assert SERVICES[0].name == "rbac"


def test_a_default_service_needs_no_service_that_is_left_out_by_default() -> None:
    assert set(names(enabled_services(SERVICES, disabled_services(SERVICES)))) == {
        service.name for service in SERVICES if service.enabled_by_default
    }


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: str(service.name))
def test_a_declaration_is_complete(service: Service) -> None:
    by_name = {each.name: each for each in SERVICES}
    assert service.about
    assert service.optional or service.enabled_by_default
    assert service.optional or not [each for each in service.needs if by_name[each].optional]
    assert not service.database or "postgres" in service.needs
    assert set(service.images) <= set(IMAGES)
    assert set(service.samples) <= {sample.name for sample in ALL_SAMPLES}


def test_host_ports_and_databases_are_unique() -> None:
    ports = [port for service in SERVICES for port in service.host_ports]
    assert len({port.name for port in ports}) == len(ports)
    assert len({port.preferred for port in ports}) == len(ports)
    assert len({port.node_port for port in ports}) == len(ports)
    databases = [service.database for service in SERVICES if service.database]
    assert len(set(databases)) == len(databases)
