"""Services that a stack leaves out and includes again."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.config import StackSpec, load
from devstack.errors import DevstackError
from devstack.lifecycle.step import pending_steps
from devstack.lifecycle.up import build_steps, up
from devstack.services import SERVICES
from devstack.services.base import ServiceContext
from devstack.stack import Stack
from tests.fakes.stack import FakeService, World


def names(stack: Stack) -> list[str]:
    return [service.name for service in stack.services]


OFF = tuple(sorted(service.name for service in SERVICES if not service.enabled_by_default))


def open_without(world: World, *without: str) -> Stack:
    """Open the stack with its real services, and fakes of everything else."""
    from devstack.stack import open_stack

    return open_stack(StackSpec(without=without), world.progress, world.runner, world.clock)


def test_leaving_out_postgres_alone_is_rejected_before_anything_is_done(
    world: World, home: Path
) -> None:
    stack = open_without(world, "postgres")
    for command in (up, build_steps):
        with pytest.raises(DevstackError) as caught:
            command(stack)
        assert str(caught.value) == "cannot leave out postgres: airflow and metadata need it"
        assert caught.value.remedy == "add --without airflow --without metadata"
    assert not (home / "state" / stack.spec.name / "stack.json").exists()


def test_a_stack_of_an_older_release_that_left_out_only_postgres_is_unchanged(world: World) -> None:
    """It recorded that name alone, which implied the services that need Postgres."""
    up(world.open(StackSpec(without=("airflow", "metadata", "postgres"))))
    state = world.open().state
    state.without = ["postgres"]
    world.open().dir.write(state)
    real = open_without(world)
    assert not {"airflow", "metadata", "postgres"} & set(names(real))
    assert up(world.open()) == ["settings"]
    assert world.open().state.without == sorted(["airflow", "metadata", "postgres", *OFF])


def test_a_plan_applies_every_service_before_it_waits_for_the_first(world: World) -> None:
    steps = [step.name for step in pending_steps(build_steps(open_without(world)))]
    applied = [name.partition("-")[2] for name in steps if name.startswith("apply-")]
    awaited = [name.partition("-")[2] for name in steps if name.startswith("ready-")]
    assert applied == awaited == names(open_without(world))
    assert steps.index("ready-rbac") > steps.index(f"apply-{applied[-1]}")


def test_postgres_gets_the_databases_of_services_that_are_left_out_too(world: World) -> None:
    """Including one later must not restart the server."""
    stack = open_without(world, "airflow")
    assert stack.context(None).databases == ("airflow", "kubeflow", "metadata")


def test_a_flag_overrides_the_files_opposite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("devstack.toml").write_text('without = ["airflow"]\nwith = ["metadata"]\n')
    assert (load().without, load().included) == (("airflow",), ("metadata",))
    spec = load(included=("airflow",))
    assert (spec.without, spec.included) == ((), ("airflow",))
    spec = load(without=("metadata",))
    assert (spec.without, spec.included) == (("metadata",), ())


def test_a_service_that_is_left_out_is_remembered_until_it_is_included(world: World) -> None:
    stack = world.open(StackSpec(without=("airflow",)))
    up(stack)
    assert stack.state.without == ["airflow", *OFF]
    assert world.open().spec.without == ("airflow", *OFF)
    both = world.open(StackSpec(without=("metadata",))).spec.without
    assert both == tuple(sorted(("airflow", "metadata", *OFF)))
    assert world.open(StackSpec(included=("airflow",))).spec.without == OFF


def test_including_a_service_includes_its_dependencies(world: World) -> None:
    up(world.open(StackSpec(without=("airflow", "metadata", "postgres"))))
    included = world.open(StackSpec(included=("airflow",)))
    assert included.spec.without == tuple(sorted(("metadata", *OFF)))


def test_ports_of_disabled_services_are_reserved(world: World) -> None:
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


def test_what_only_its_controller_could_delete_is_released_before_a_service_is_removed(
    world: World,
) -> None:
    released: list[bool] = []

    class WithFinalizers(FakeService):
        def release(self, ctx: ServiceContext) -> None:
            """Note whether the service's own objects were still there."""
            released.append(any(path.endswith("/extra") for path in world.api.objects))

    extra = WithFinalizers("extra")
    world.services.append(extra)
    up(world.open())
    assert released == []
    world.services.remove(extra)
    for _ in range(2):
        stack = world.open()
        stack.disabled = [extra]
        up(stack)
    assert released == [True]


@pytest.mark.parametrize(
    ("wrong", "code"), [("minio", "SERVICE_REQUIRED"), ("airfow", "SERVICE_UNKNOWN")]
)
def test_only_optional_services_can_be_left_out(world: World, wrong: str, code: str) -> None:
    with pytest.raises(DevstackError) as caught:
        open_without(world, wrong)
    assert caught.value.code == code
    assert caught.value.remedy.startswith("optional services are airflow")


@pytest.mark.parametrize("setting", ['without = "airflow"', "without = [1]"])
def test_left_out_services_are_a_list_of_names(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("devstack.toml").write_text(setting + "\n")
    with pytest.raises(DevstackError, match="without: ") as caught:
        load()
    assert caught.value.code == "CONFIG_INVALID"


def test_airflows_settings_are_remembered_until_others_are_named(world: World) -> None:
    wanted = {"executor": "KubernetesExecutor"}
    up(world.open(StackSpec(airflow=wanted, given=frozenset({"airflow"}))))
    assert world.open().spec.airflow == wanted
    stack = world.open(StackSpec(airflow={}, given=frozenset({"airflow"})))
    assert up(stack) == ["settings"]
    assert stack.state.airflow == {}
