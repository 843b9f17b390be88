"""`devstack images login`: a Secret for task pods, which `up` renews."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devstack.config import StackSpec
from devstack.errors import DevstackError
from devstack.kube.client import KubeClient
from devstack.kube.pull_secrets import registries_of
from devstack.lifecycle.registry_login import login, logout
from devstack.lifecycle.up import up
from devstack.services.rbac import RbacService
from tests.fakes.stack import ConfiguringProvider, World

SECRET = "/api/v1/namespaces/metaflow/secrets/devstack-registries"
ACCOUNT = "/api/v1/namespaces/metaflow/serviceaccounts/metaflow-task"
PASSWORD = "not to be seen"

LogIn = Callable[..., None]


@pytest.fixture
def log_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LogIn:
    """Return a function that writes Docker's configuration."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))

    def write(*hosts: str, password: str = PASSWORD) -> None:
        auth = base64.b64encode(f"me:{password}".encode()).decode()
        auths = {host: {"auth": auth} for host in hosts}
        (folder / "config.json").write_text(json.dumps({"auths": auths}))

    return write


@pytest.fixture
def stack(world: World) -> World:
    world.provider = ConfiguringProvider()
    world.services = [RbacService()]
    token = world.api.objects["/api/v1/namespaces/metaflow/secrets/metaflow-submitter-token"]
    token["metadata"]["labels"] = {"app.kubernetes.io/part-of": "devstack"}
    up(world.open(StackSpec(mirror={"docker.io": "registry.corp:5000/hub"})))
    return world


def secrets_of_account(world: World) -> list[Any]:
    return world.api.objects[ACCOUNT].get("imagePullSecrets") or []


def test_task_pods_get_the_login_of_this_machine_and_lose_it(stack: World, log_in: LogIn) -> None:
    log_in("registry.corp:5000")
    assert login(stack.open(), "docker.io") == ["docker.io", "registry.corp:5000"]
    assert secrets_of_account(stack) == [{"name": "devstack-registries"}]
    assert up(stack.open()) == []
    assert logout(stack.open(), "docker.io") == []
    assert SECRET not in stack.api.objects
    assert secrets_of_account(stack) == []
    assert up(stack.open()) == []


def test_an_interrupted_logout_leaves_no_login_that_is_not_known(
    stack: World, log_in: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in("registry.corp:5000")
    login(stack.open(), "")
    with monkeypatch.context() as patch:
        patch.setattr(KubeClient, "delete", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            logout(stack.open(), "")
    assert SECRET in stack.api.objects
    assert stack.open().state.logins == ["registry.corp:5000"]
    assert logout(stack.open(), "") == []
    assert SECRET not in stack.api.objects
    assert stack.open().state.logins == []


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_only_the_registry_that_is_named_is_forgotten(stack: World, log_in: LogIn) -> None:
    log_in("registry.corp:5000", "ghcr.io")
    assert login(stack.open(), "") == ["docker.io", "ghcr.io", "registry.corp:5000"]
    assert logout(stack.open(), "docker.io") == ["ghcr.io"]
    assert registries_of(stack.api.objects[SECRET]) == ["ghcr.io"]


def test_up_renews_logins_and_follows_mirrors(stack: World, log_in: LogIn) -> None:
    log_in("registry.corp:5000")
    login(stack.open(), "")
    log_in("registry.corp:5000", password="another")
    assert up(stack.open()) == ["pull-secret"]
    changed = up(stack.open(StackSpec(mirror={"quay.io": "registry.corp:5000/quay"})))
    assert "pull-secret" in changed
    assert registries_of(stack.api.objects[SECRET]) == [
        "docker.io",
        "quay.io",
        "registry.corp:5000",
    ]


def test_a_login_that_this_machine_lost_is_named_by_up(stack: World, log_in: LogIn) -> None:
    log_in("registry.corp:5000")
    login(stack.open(), "")
    log_in()
    assert up(stack.open()) == ["pull-secret"]
    assert registries_of(stack.api.objects[SECRET]) == []
    warnings = [event[1] for event in stack.progress.events if event[0] == "warn"]
    assert any("no longer logged in to registry.corp:5000" in each for each in warnings)


def test_up_continues_if_logins_cannot_be_read(stack: World, log_in: LogIn, tmp_path: Path) -> None:
    log_in("registry.corp:5000")
    login(stack.open(), "")
    (tmp_path / "docker" / "config.json").write_text("{")
    assert up(stack.open()) == []
    assert "registry.corp:5000" in registries_of(stack.api.objects[SECRET])


def test_passwords_are_in_no_file_of_the_stack(stack: World, log_in: LogIn) -> None:
    log_in("registry.corp:5000")
    login(stack.open(), "")
    encoded = base64.b64encode(f"me:{PASSWORD}".encode())
    for file in stack.open().dir.path.rglob("*"):
        if file.is_file():
            assert PASSWORD.encode() not in file.read_bytes()
            assert encoded not in file.read_bytes()
    assert stack.open().state.logins == ["registry.corp:5000"]


def test_a_machine_without_login_changes_nothing(stack: World, log_in: LogIn) -> None:
    log_in()
    with pytest.raises(DevstackError) as caught:
        login(stack.open(), "docker.io")
    assert caught.value.code == "LOGIN_MISSING"
    assert "registry.corp:5000" in caught.value.message
    assert SECRET not in stack.api.objects
    assert stack.open().state.logins == []


def test_a_stack_that_is_down_takes_no_login(world: World, log_in: LogIn) -> None:
    log_in("registry.corp:5000")
    with pytest.raises(DevstackError) as caught:
        login(world.open(), "")
    assert caught.value.code == "STACK_DOWN"
