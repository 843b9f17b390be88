"""What to start, or to select, if the engine does not answer."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from devstack.docker import applications
from devstack.docker.applications import how_to_start, installed_elsewhere
from devstack.docker.errors import docker_stopped
from devstack.paths import prepare_docker
from tests.fakes.runner import FakeRunner


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Linux machine without any engine."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(applications, "DEFAULT_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(applications.sys, "platform", "linux")
    monkeypatch.setattr(applications.platform, "release", lambda: "6.1.0")
    (tmp_path / "bin").mkdir()
    return tmp_path


def install(folder: Path, program: str) -> None:
    (folder / "bin" / program).touch(mode=0o755)


def test_on_linux_the_service_is_named(bare: Path) -> None:
    assert how_to_start().startswith("start the Docker engine (`systemctl start docker`")
    install(bare, "colima")
    install(bare, "podman")
    assert "Colima (`colima start`)" in how_to_start()
    assert "devstack up --engine podman" in how_to_start()


def test_on_macos_the_installed_applications_are_named(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applications.sys, "platform", "darwin")
    monkeypatch.setattr(applications, "_FOLDERS", (str(bare),))
    assert how_to_start() == "start Docker Desktop"
    (bare / "OrbStack.app").mkdir()
    (bare / "Rancher Desktop.app").mkdir()
    assert how_to_start() == (
        "start OrbStack (`open -a OrbStack`), or Rancher Desktop (`open -a 'Rancher Desktop'`)"
    )


def test_on_wsl_the_integration_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applications.platform, "release", lambda: "5.15-microsoft-standard-WSL2")
    assert "WSL integration" in how_to_start()


def add_context(folder: Path, name: str) -> Path:
    """Configure a context; return the socket that it names, which is not there."""
    meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    socket = folder / f"{name}.sock"
    host = {"docker": {"Host": f"unix://{socket}"}}
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": host}))
    return socket


def test_the_address_that_a_variable_names_is_the_first_thing_to_change(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///none.sock")
    error = docker_stopped("no such file")
    assert error.cause == "no such file (DOCKER_HOST is unix:///none.sock)"
    assert error.remedy.startswith("unset DOCKER_HOST")
    assert "systemctl start docker" not in error.remedy
    add_context(bare, "colima").touch()
    assert "unset DOCKER_HOST and use the context colima" in how_to_start()


@pytest.mark.parametrize("by_variable", [True, False])
def test_the_engine_of_the_context_is_to_be_started_or_the_default_one_used(
    bare: Path, monkeypatch: pytest.MonkeyPatch, by_variable: bool
) -> None:
    socket = add_context(bare, "rootless")
    if by_variable:
        monkeypatch.setenv("DOCKER_CONTEXT", "rootless")
    else:
        (bare / "config.json").write_text('{"currentContext": "rootless"}')
    error = docker_stopped("no such file")
    named = "DOCKER_CONTEXT is" if by_variable else "the current context is"
    assert error.cause == f"no such file ({named} rootless, at unix://{socket})"
    assert error.remedy.startswith(
        "start the engine of the context rootless (`systemctl --user start docker`)"
    )
    unset = "unset DOCKER_CONTEXT; " if by_variable else ""
    use = f"`{unset}docker context use default`"
    assert f"start the Docker engine (`systemctl start docker`, `{prepare_docker()}`), and use" in (
        error.remedy
    )
    assert error.remedy.endswith(use)
    default = bare / "docker.sock"
    default.touch()
    monkeypatch.setattr(applications, "DEFAULT_HOST", f"unix://{default}")
    assert f"use the context default: {use}" in how_to_start()


def test_another_context_with_a_socket_is_named(bare: Path) -> None:
    socket = add_context(bare, "colima")
    assert "docker context use" not in how_to_start()
    socket.touch()
    assert "`docker context use colima`" in how_to_start()


def test_without_docker_another_engine_is_named() -> None:
    assert installed_elsewhere(FakeRunner(["podman"]))[1] == "devstack up --engine podman"
    assert "dockerd (moby)" in installed_elsewhere(FakeRunner(["nerdctl"]))[1]
    assert installed_elsewhere(FakeRunner()) == ("", "")
