"""What to start, or to select, if the engine does not answer."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from devstack.docker import applications
from devstack.docker.applications import how_to_start, installed_elsewhere
from tests.fakes.runner import FakeRunner


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Linux machine without any engine."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
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


def test_another_context_with_a_socket_is_named(bare: Path) -> None:
    folder = bare / "contexts" / "meta" / hashlib.sha256(b"colima").hexdigest()
    folder.mkdir(parents=True)
    socket = bare / "colima.sock"
    host = {"docker": {"Host": f"unix://{socket}"}}
    (folder / "meta.json").write_text(json.dumps({"Name": "colima", "Endpoints": host}))
    assert "docker context use" not in how_to_start()
    socket.touch()
    assert "`docker context use colima`" in how_to_start()


def test_without_docker_another_engine_is_named() -> None:
    assert installed_elsewhere(FakeRunner(["podman"]))[1] == "devstack up --engine podman"
    assert "dockerd (moby)" in installed_elsewhere(FakeRunner(["nerdctl"]))[1]
    assert installed_elsewhere(FakeRunner()) == ("", "")
