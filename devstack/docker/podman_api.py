"""The API that Podman serves, which is compatible with Docker's.

Podman has no daemon. systemd starts its service for ``podman.socket`` where that is enabled;
otherwise this process starts one, for itself, and stops it when it ends.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from devstack.environment_variables import tool_environment
from devstack.errors import DevstackError, ExitStatus

TIMEOUT = 60
"""Seconds for one request."""

START_SECONDS = 10.0
IDLE_SECONDS = 600
"""After so long without a request Podman's service ends, should this process have been killed."""

_lock = threading.Lock()
_services: dict[int, str] = {}
"""The socket of the service that a process of this id started."""


def connect() -> Any:
    """Return the SDK's client of Podman's service.

    Raises:
        DevstackError: ``PODMAN_STOPPED``.
    """
    import docker

    return docker.DockerClient(base_url=f"unix://{find_socket()}", timeout=TIMEOUT)


def find_socket() -> str:
    """Return the path of a socket that Podman serves; start a service if there is none."""
    with _lock:
        if os.getpid() in _services:
            return _services[os.getpid()]
        for path in [*_usual_sockets(), *_machine_sockets()]:
            if _answers(path):
                return path
        return _start_service()


def podman_host() -> str:
    """Return the address in Podman's own variable, for engines elsewhere; empty if it is local."""
    return os.environ.get("CONTAINER_HOST", "")


def _usual_sockets() -> list[str]:
    if host := podman_host():
        return [host.removeprefix("unix://")]
    if os.geteuid() == 0:
        return ["/run/podman/podman.sock"]
    folder = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    return [f"{folder}/podman/podman.sock"]


def _machine_sockets() -> list[str]:
    """Return the sockets of Podman's virtual machine, on systems that need one."""
    if sys.platform == "linux":
        return []
    done = subprocess.run(
        ["podman", "machine", "inspect"],
        capture_output=True,
        env=tool_environment(),
        timeout=TIMEOUT,
        check=False,
    )
    try:
        found = json.loads(done.stdout)
        return [str(each["ConnectionInfo"]["PodmanSocket"]["Path"]) for each in found]
    except (ValueError, KeyError, TypeError):
        return []


def _answers(path: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
    except OSError:
        return False
    return True


def _start_service() -> str:
    if sys.platform != "linux":
        raise _stopped("Podman's machine does not run", "podman machine start")
    folder = Path(tempfile.mkdtemp(prefix="devstack-podman-"))
    path = folder / "podman.sock"
    with (folder / "log").open("wb") as log:
        service = subprocess.Popen(
            ["podman", "system", "service", f"--time={IDLE_SECONDS}", f"unix://{path}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=tool_environment(),
            start_new_session=True,
        )
    atexit.register(_stop, os.getpid(), service, folder)
    deadline = time.monotonic() + START_SECONDS
    while not _answers(str(path)):
        if service.poll() is not None or time.monotonic() > deadline:
            output = (folder / "log").read_text(errors="replace")
            raise _stopped(output.strip() or "its service does not start", "podman info")
        time.sleep(0.02)
    _services[os.getpid()] = str(path)
    return str(path)


def _stop(owner: int, service: subprocess.Popen[bytes], folder: Path) -> None:
    if os.getpid() != owner:
        return  # a process that was forked
    service.terminate()
    service.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _stopped(cause: str, remedy: str) -> DevstackError:
    return DevstackError(
        "Podman does not answer",
        cause=cause.splitlines()[-1],
        remedy=remedy,
        code="PODMAN_STOPPED",
        exit_status=ExitStatus.ENVIRONMENT,
    )
