"""The socket of Podman's API: the user's, else that of a service for this process."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devstack.docker import podman_api
from devstack.docker.connection import engine_host
from devstack.docker.engine import PODMAN
from devstack.docker.podman import with_engine
from devstack.docker.podman_api import find_socket
from devstack.docker.podman_client import engine_client
from devstack.docker.recognition import remote_fault
from devstack.errors import DevstackError
from devstack.providers.kind.engine_check import find_problems
from tests.fakes.runner import FakeRunner
from tests.support.eventually import eventually


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH for a fake podman; no service is known."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    monkeypatch.delenv("CONTAINER_HOST", raising=False)
    monkeypatch.setattr(podman_api, "_services", {})
    monkeypatch.setattr(podman_api.os, "geteuid", lambda: 1000)
    return folder


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "podman.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield path


def test_the_users_socket_is_used(listening: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{listening}")
    assert find_socket() == str(listening)
    assert engine_host(PODMAN) == f"unix://{listening}"


def test_the_socket_that_systemd_serves_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "podman").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "podman" / "podman.sock"))
        server.listen()
        assert find_socket() == str(tmp_path / "podman" / "podman.sock")


def test_a_podman_of_another_machine_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_HOST", "ssh://me@far/run/podman.sock")
    fault = remote_fault(engine_host(PODMAN))
    assert fault is not None
    assert fault.code == "ENGINE_REMOTE"


def install(programs: Path, body: str) -> None:
    podman = programs / "podman"
    podman.write_text(body)
    podman.chmod(podman.stat().st_mode | stat.S_IXUSR)


SERVICE = f"""#!{sys.executable}
import os, socket, sys, time
if sys.argv[1:3] != ["system", "service"]:
    sys.exit(125)
open(os.environ["STARTED"], "a").write(f"{{os.getpid()}} {{sys.argv[3]}}\\n")
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[-1].removeprefix("unix://"))
server.listen()
time.sleep(60)
"""


@pytest.fixture
def started(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file with process and limit of each service of a fake Podman."""
    install(programs, SERVICE)
    monkeypatch.setenv("STARTED", str(tmp_path / "started"))
    ends: list[tuple[Callable[..., None], ...]] = []
    monkeypatch.setattr(podman_api.atexit, "register", lambda *call: ends.append(call))
    yield tmp_path / "started"
    # Other tests count the processes of this one.
    for end, *arguments in ends:
        end(*arguments)


def services(started: Path) -> list[tuple[int, str]]:
    lines = started.read_text().splitlines()
    return [(int(line.split()[0]), line.split()[1]) for line in lines]


def test_a_service_of_this_process_has_no_limit_and_is_replaced_if_it_ends(started: Path) -> None:
    first = find_socket()
    assert find_socket() == first
    ((process, limit),) = services(started)
    assert limit == "--time=0"
    os.kill(process, signal.SIGKILL)
    eventually("the service to end", lambda: not podman_api._answers(first), timeout=10)
    assert find_socket() != first
    assert len(services(started)) == 2


@pytest.mark.usefixtures("started")
def test_a_service_ends_with_the_process_even_if_that_is_killed() -> None:
    code = "import time; from devstack.docker import podman_api as a; "
    code += "a.os.geteuid = lambda: 1000; print(a.find_socket(), flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as caller:
        assert caller.stdout
        path = caller.stdout.readline().decode().strip()
        assert podman_api._answers(path)
        caller.kill()
    eventually("the service to end", lambda: not podman_api._answers(path), timeout=10)
    eventually("its folder to be gone", lambda: not Path(path).parent.exists(), timeout=10)


def test_without_podman_the_program_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DevstackError) as caught:
        find_socket()
    assert caught.value.code == "PODMAN_MISSING"
    # On macOS the socket is that of a machine, which only the program knows.
    monkeypatch.setattr(podman_api.sys, "platform", "darwin")
    with pytest.raises(DevstackError) as caught:
        find_socket()
    assert caught.value.code == "PODMAN_MISSING"


def test_the_address_is_known_without_asking_podman(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert remote_fault(engine_host(PODMAN)) is None
    runner = with_engine(FakeRunner(), PODMAN)
    (problem,) = find_problems(engine_client(runner), Path("/x"))
    assert problem.code == "PODMAN_MISSING"


def test_a_service_that_does_not_start_is_an_error_with_its_message(programs: Path) -> None:
    install(programs, "#!/bin/sh\necho 'Error: no subuid ranges' >&2\nexit 125\n")
    with pytest.raises(DevstackError) as caught:
        find_socket()
    assert caught.value.code == "PODMAN_STOPPED"
    assert "no subuid ranges" in caught.value.cause
