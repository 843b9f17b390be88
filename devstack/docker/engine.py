"""The container engines: which program, API and provider of kind a stack uses.

Docker is the default. Podman understands most commands and requests of Docker; what differs is
in `devstack.docker.podman` (commands) and `devstack.docker.podman_api` (the API's socket).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from devstack.docker.context import DEFAULT_HOST, current_host
from devstack.process import Runner

AUTO = "auto"


@dataclass(frozen=True)
class Engine:
    """A container engine.

    Attributes:
        name: the value of ``--engine``; the program, and the name of kind's provider.
        title: its name in messages.
    """

    name: Literal["docker", "podman"]
    title: str

    def kind_variables(self, network: str) -> dict[str, str]:
        """Return the variables by which kind uses this engine, and a network.

        Source: ``GetDefault`` and ``Provision`` of kind's providers.
        """
        return {
            "KIND_EXPERIMENTAL_PROVIDER": self.name,
            f"KIND_EXPERIMENTAL_{self.name.upper()}_NETWORK": network,
        }


DOCKER = Engine("docker", "Docker")
PODMAN = Engine("podman", "Podman")

_SCRIPT_SIZE = 2048


def choose_engine(name: str, runner: Runner) -> Engine:
    """Return the engine called ``name``, or with "auto" the one that is here.

    With "auto" it is Docker, unless only Podman is installed, Docker's client is Podman's
    emulation, or there is no socket that Docker could listen on. Nothing is started or asked.
    """
    if name != AUTO:
        return PODMAN if name == PODMAN.name else DOCKER
    if runner.which(PODMAN.name) is None:
        return DOCKER
    docker = runner.which(DOCKER.name)
    if docker is None or is_podman_emulation(Path(docker)) or not _docker_listens():
        return PODMAN
    return DOCKER


def is_podman_emulation(program: Path) -> bool:
    """Return True if a ``docker`` program is Podman: a link, or the script of podman-docker."""
    if program.resolve().name == PODMAN.name:
        return True
    try:
        with program.open("rb") as file:
            start = file.read(_SCRIPT_SIZE)
    except OSError:
        return False
    return start.startswith(b"#!") and b"podman" in start


def _docker_listens() -> bool:
    """Return False if Docker's usual socket does not exist, or is Podman's.

    An engine that the user selected, by a context or DOCKER_HOST, is never replaced.
    """
    host = current_host()
    if host != DEFAULT_HOST:
        return True
    socket = host.removeprefix("unix://")
    return os.path.exists(socket) and not os.path.realpath(socket).endswith("/podman.sock")
