"""The API that Podman serves, which is compatible with Docker's.

Podman has no daemon. systemd starts its service for ``podman.socket`` where that is enabled;
otherwise this process starts one, which ends with it.
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

from devstack.docker.engine import PODMAN
from devstack.docker.errors import podman_missing, podman_stopped
from devstack.environment_variables import tool_environment

TIMEOUT = 60
"""Seconds for one request."""

START_SECONDS = 10.0

_SERVICE = """
exec 3<&0 </dev/null
{ read -r _ <&3; kill "$$"; rm -rf "$2"; } >/dev/null 2>&1 &
exec 3<&- podman system service --time=0 "$1"
"""
"""Runs Podman's service until the pipe from this process is closed, also because it was killed. Its
own limit is for times without requests, which a build or the autoscaler may have at any time."""

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
    """Return the path of a socket that Podman serves; start a service if there is none.

    Raises:
        DevstackError: ``PODMAN_MISSING`` or ``PODMAN_STOPPED``.
    """
    with _lock:
        own = _services.get(os.getpid())
        if own and _answers(own):
            return own
        for path in [*_usual_sockets(), *_machine_sockets()]:
            if _answers(path):
                return path
        if shutil.which(PODMAN.name) is None:
            raise podman_missing()
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
    try:
        done = subprocess.run(
            ["podman", "machine", "inspect"],
            capture_output=True,
            env=tool_environment(),
            timeout=TIMEOUT,
            check=False,
        )
        found = json.loads(done.stdout)
        return [str(each["ConnectionInfo"]["PodmanSocket"]["Path"]) for each in found]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
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
        raise podman_stopped("its machine does not run")
    folder = Path(tempfile.mkdtemp(prefix="devstack-podman-"))
    path = folder / "podman.sock"
    with (folder / "log").open("wb") as log:
        service = subprocess.Popen(
            ["sh", "-c", _SERVICE, "sh", f"unix://{path}", str(folder)],
            stdin=subprocess.PIPE,
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
            _stop(os.getpid(), service, folder)
            raise podman_stopped(output.strip() or "its service does not start")
        time.sleep(0.02)
    _services[os.getpid()] = str(path)
    return str(path)


def _stop(owner: int, service: subprocess.Popen[bytes], folder: Path) -> None:
    if os.getpid() != owner:
        return  # a process that was forked
    if service.stdin:
        service.stdin.close()
    service.terminate()
    service.wait()
    shutil.rmtree(folder, ignore_errors=True)
