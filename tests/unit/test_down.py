from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from devstack.config import StackSpec
from devstack.docker.engine import DOCKER, PODMAN
from devstack.docker.podman import engine_of
from devstack.errors import DevstackError
from devstack.kube.api_errors import UnreachableError
from devstack.lifecycle.down import build_undo, down, foreign_owner
from devstack.lifecycle.up import up
from devstack.owner import Owner, login_name
from devstack.providers.base import Problem
from devstack.state import STATE_FILE
from tests.fakes.stack import FakeProvider, World


def left(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file()]


def test_down_leaves_nothing(world: World, home: Path) -> None:
    up(world.open())
    assert down(world.open()) == ["Delete the kind cluster"]
    assert world.provider.state == "absent"
    assert left(home) == []


def test_down_uses_the_engine_of_the_stack_after_a_change_of_the_setting(world: World) -> None:
    world.runner.answer("docker")
    world.runner.answer("podman")
    chosen = frozenset({"engine"})
    up(world.open(StackSpec(engine="docker", given=chosen)))
    changed = StackSpec(engine="podman", given=chosen)
    with pytest.raises(DevstackError) as caught:
        up(world.open(changed))
    assert caught.value.code == "STACK_DIFFERS"
    stack = world.open(changed)
    assert engine_of(stack.runner) == DOCKER
    down(stack)
    assert engine_of(world.open(changed).runner) == PODMAN


def test_an_existing_stack_keeps_its_engine_without_a_setting(world: World) -> None:
    world.runner.answer("docker")
    world.runner.answer("podman")
    up(world.open(StackSpec(engine="podman", given=frozenset({"engine"}))))
    for spec in (StackSpec(), StackSpec(engine="auto", given=frozenset({"engine"}))):
        stack = world.open(spec)
        assert stack.spec.engine == "podman"
        assert engine_of(stack.runner) == PODMAN
        up(stack)


def test_a_second_down_has_nothing_to_do(world: World, home: Path) -> None:
    up(world.open())
    down(world.open())
    assert down(world.open()) == []
    assert left(home) == []


def test_down_without_a_stack_needs_no_docker(world: World) -> None:
    world.provider.problems = [Problem("Docker is not installed", "install it", "DOCKER_MISSING")]
    assert down(world.open()) == []


def test_a_cluster_whose_files_are_missing_is_removed(world: World) -> None:
    world.provider.state = "running"
    assert down(world.open()) != []
    assert world.provider.state == "absent"


@pytest.mark.parametrize("fault", [DevstackError("cannot"), KeyboardInterrupt()])
def test_an_interrupted_down_is_continued(world: World, home: Path, fault: BaseException) -> None:
    up(world.open())
    world.provider.fails["delete"] = fault
    with pytest.raises(type(fault)):
        down(world.open())
    assert world.open().state.phase == "deleting"
    world.provider.fails.clear()
    down(world.open())
    assert left(home) == []


def test_an_interrupted_up_is_removed(world: World, home: Path) -> None:
    world.provider.fails["ensure"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        up(world.open())
    down(world.open())
    assert left(home) == []


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"name": "devstack", "ports": 3}',
        '{"name": "devstack", "initialized_services": 3}',
    ],
)
def test_a_stack_whose_state_is_broken_is_removed(world: World, home: Path, text: str) -> None:
    up(world.open())
    (world.open().dir.path / STATE_FILE).write_text(text)
    with pytest.raises(DevstackError) as caught:
        world.open()
    assert caught.value.code == "STATE_BROKEN"
    down(world.open(ignore_corrupt_state=True))
    assert world.provider.state == "absent"
    assert left(home) == []


def test_a_full_disk_does_not_prevent_down(
    world: World, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(world.open())

    def full(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(os, "pwrite", full)
    down(world.open())
    assert world.provider.state == "absent"
    assert left(home) == []


def test_down_is_rejected_while_another_command_runs(world: World) -> None:
    up(world.open())
    with world.open().dir.lock(), pytest.raises(DevstackError) as caught:
        down(world.open())
    assert caught.value.code == "LOCKED"
    assert world.provider.state == "running"


def test_down_removes_one_stack_and_keeps_the_other(world: World) -> None:
    first, second = StackSpec(name="one"), StackSpec(name="two")
    empty = dict(world.api.objects)
    up(world.open(first))
    # The second has a cluster of its own.
    world.api.objects, world.provider.state = empty, "absent"
    up(world.open(second))
    before = {
        path: path.read_bytes() for path in world.open(second).dir.path.rglob("*") if path.is_file()
    }
    down(world.open(first))
    after = world.open(second).dir.path
    assert {path: path.read_bytes() for path in after.rglob("*") if path.is_file()} == before
    assert not world.open(first).dir.path.exists()


ALICE = Owner("/home/alice/stacks/state/devstack", "alice")


def test_a_cluster_of_another_owner_is_not_removed(world: World) -> None:
    world.provider.state, world.provider.foreign = "running", ALICE
    assert down(world.open()) == []
    assert foreign_owner(world.open()) == ALICE
    assert "delete" not in world.provider.calls


def test_a_stack_is_removed_although_another_owner_replaced_its_cluster(
    world: World, home: Path
) -> None:
    up(world.open())
    world.provider.foreign = ALICE
    assert [title for title, _ in build_undo(world.open())] == []
    assert down(world.open()) != []
    assert "delete" not in world.provider.calls
    assert left(home) == []


class ContextLikeProvider(FakeProvider):
    """A cluster that devstack must not delete."""

    name = "context"
    owns_cluster = False


def test_of_two_stacks_on_one_cluster_each_removes_its_own(world: World) -> None:
    world.provider = ContextLikeProvider()
    first, second = StackSpec(name="one"), StackSpec(name="two")
    up(world.open(first))
    objects = dict(world.api.objects)
    with pytest.raises(DevstackError, match="this stack did not create it"):
        up(world.open(second))
    down(world.open(second))
    assert world.api.objects == objects


def test_two_homes_with_one_stack_name_share_a_cluster_without_sharing_objects(
    world: World, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.provider = ContextLikeProvider()
    up(world.open())
    objects = dict(world.api.objects)
    monkeypatch.setenv("DEVSTACK_HOME", str(home.with_name("other")))
    with pytest.raises(DevstackError) as caught:
        up(world.open())
    assert caught.value.code == "OBJECT_FOREIGN"
    assert f"belongs to the stack of {login_name(os.geteuid())}@" in caught.value.cause
    assert str(home / "state" / "devstack") in caught.value.cause
    down(world.open())
    assert world.api.objects == objects
    monkeypatch.setenv("DEVSTACK_HOME", str(home))
    assert up(world.open()) == []
    down(world.open())
    assert not [path for path in world.api.objects if "configmaps" in path]


def test_objects_of_an_earlier_release_belong_to_their_home(
    world: World, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It marked them with the stack's name only, and its state has no owner."""
    world.provider = ContextLikeProvider()
    up(world.open())
    stack = world.open()
    stack.state.owner = ""
    stack.save()
    for item in world.api.objects.values():
        item.get("metadata", {}).pop("annotations", None)
    objects = dict(world.api.objects)
    assert up(world.open()) == []
    monkeypatch.setenv("DEVSTACK_HOME", str(home.with_name("other")))
    with pytest.raises(DevstackError) as caught:
        up(world.open())
    assert caught.value.code == "OBJECT_FOREIGN"
    down(world.open())
    assert world.api.objects == objects
    monkeypatch.setenv("DEVSTACK_HOME", str(home))
    down(world.open())
    assert not [path for path in world.api.objects if "configmaps" in path]


def test_only_our_objects_are_removed_from_a_cluster_that_is_not_ours(
    world: World, home: Path
) -> None:
    world.provider = ContextLikeProvider()
    world.api.objects["/api/v1/namespaces/metaflow/configmaps/theirs"] = {"kind": "ConfigMap"}
    up(world.open())
    assert down(world.open()) == ["Delete minio", "Delete rbac"]
    configmaps = [path for path in world.api.objects if "configmaps" in path]
    assert configmaps == ["/api/v1/namespaces/metaflow/configmaps/theirs"]
    assert world.provider.state == "running"
    assert left(home) == []


def test_the_remedy_for_a_context_that_no_longer_exists_is_to_remove_the_directory(
    world: World,
) -> None:
    world.provider = ContextLikeProvider()
    up(world.open())

    def fail(*_arguments: object, **_options: object) -> None:
        raise UnreachableError("https://127.0.0.1:6444", "connection refused")

    world.api.request = fail  # type: ignore[assignment,method-assign]
    with pytest.raises(DevstackError) as caught:
        down(world.open())
    assert caught.value.code == "API_UNREACHABLE"
    assert f"remove {world.open().dir.path}" in caught.value.remedy


def test_the_dry_run_of_down_lists_what_it_removes(world: World) -> None:
    up(world.open())
    assert [title for title, _ in build_undo(world.open())] == ["Delete the kind cluster"]
    assert world.provider.state == "running"
