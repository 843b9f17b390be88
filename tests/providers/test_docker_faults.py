"""Docker that is absent, stopped or not permitted; kind that is missing."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.errors import ExitStatus
from tests.support.commandline import Devstack
from tests.support.refusal import findings, refused

ENVIRONMENT = ExitStatus.ENVIRONMENT


@pytest.fixture
def absent(fresh: Devstack, tmp_path: Path) -> Devstack:
    """Docker is not on PATH, and neither is anything else."""
    (tmp_path / "bin").mkdir()
    return Devstack(fresh.name, fresh.home, {**_home(fresh), "PATH": str(tmp_path / "bin")})


@pytest.fixture
def stopped(fresh: Devstack, tmp_path: Path) -> Devstack:
    """The docker client exists, but nothing listens on its socket."""
    host = f"unix://{tmp_path}/none.sock"
    return Devstack(fresh.name, fresh.home, {**_home(fresh), "DOCKER_HOST": host})


@pytest.fixture
def forbidden(fresh: Devstack, tmp_path: Path) -> Iterator[Devstack]:
    """Docker listens on a socket that this user may not open."""
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0)
        host = f"unix://{path}"
        yield _Unprivileged(fresh.name, fresh.home, {**_home(fresh), "DOCKER_HOST": host})


class _Unprivileged(Devstack):
    """devstack run by a user to whom file permissions apply, even as root."""

    def command(self, *argv: str) -> list[str]:
        command = super().command(*argv)
        if os.geteuid() != 0:
            return command
        # These two capabilities let root open every file.
        lacking = "-dac_override,-dac_read_search"
        return ["setpriv", f"--bounding-set={lacking}", f"--inh-caps={lacking}", *command]


def _home(stack: Devstack) -> dict[str, str]:
    return {"HOME": stack.environment["HOME"]}


def test_without_docker_the_error_explains_how_to_install_it(absent: Devstack) -> None:
    refusal = refused(absent, "up", code="DOCKER_MISSING", status=ENVIRONMENT)
    assert "Docker is not installed" in refusal.cause
    assert "install Docker" in refusal.remedy


def test_with_docker_stopped_the_error_names_its_address(stopped: Devstack) -> None:
    refusal = refused(stopped, "up", code="DOCKER_STOPPED", status=ENVIRONMENT)
    assert "does not answer" in refusal.cause
    assert f"DOCKER_HOST is {stopped.environment['DOCKER_HOST']}" in refusal.cause
    assert refusal.remedy.startswith("unset DOCKER_HOST")


def test_without_podman_it_is_the_only_fault_and_no_bug(absent: Devstack, tmp_path: Path) -> None:
    refusal = refused(absent, "up", "--engine", "podman", code="PODMAN_MISSING", status=ENVIRONMENT)
    assert "Podman is not installed" in refusal.cause
    settings = tmp_path / "devstack.toml"
    settings.write_text('[cluster]\nengine = "podman"\n')
    found = findings(absent, "--config", str(settings))
    assert "PODMAN_MISSING" in found
    assert "CHECK_FAILED" not in found


def test_without_permission_the_error_names_the_docker_group(forbidden: Devstack) -> None:
    refusal = refused(forbidden, "up", code="DOCKER_FORBIDDEN", status=ENVIRONMENT)
    assert "refuses this user" in refusal.cause
    assert "group `docker`" in refusal.remedy


@pytest.mark.parametrize("fault", ["absent", "stopped", "forbidden"])
def test_without_docker_nothing_is_written_and_down_has_nothing_to_do(
    fault: str, request: pytest.FixtureRequest
) -> None:
    stack: Devstack = request.getfixturevalue(fault)
    stack.run("up", check=False)
    assert not stack.directory.exists()
    assert stack.json("down")["data"]["removed"] is False
    assert stack.json("status", check=False)["data"]["state"] == "absent"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("absent", "DOCKER_MISSING"),
        ("stopped", "DOCKER_STOPPED"),
        ("forbidden", "DOCKER_FORBIDDEN"),
    ],
)
def test_the_doctor_names_the_same_fault(
    fault: str, code: str, request: pytest.FixtureRequest
) -> None:
    assert code in findings(request.getfixturevalue(fault))


def test_the_text_for_a_person_has_cause_next_step_and_code(stopped: Devstack) -> None:
    done = stopped.run("up", check=False)
    assert done.returncode == ENVIRONMENT
    assert "error: cannot use provider 'kind': Docker does not answer" in done.stderr
    assert "  next: unset DOCKER_HOST" in done.stderr
    assert "  code: DOCKER_STOPPED" in done.stderr


def test_offline_without_kind_the_error_names_kind(fresh: Devstack, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "docker").symlink_to(_program("docker"))
    lacking = {**_home(fresh), "PATH": str(tools), "DEVSTACK_CACHE": str(tmp_path / "empty")}
    stack = Devstack(fresh.name, fresh.home, lacking)
    refusal = refused(stack, "up", "--offline", code="KIND_MISSING", status=ENVIRONMENT)
    assert "kind" in refusal.text
    settings = tmp_path / "devstack.toml"
    settings.write_text("offline = true\n")
    assert "KIND_MISSING" in findings(stack, "--config", str(settings))


def _program(name: str) -> Path:
    found = shutil.which(name)
    assert found, f"{name} is not on PATH of {sys.executable}"
    return Path(found).resolve()
