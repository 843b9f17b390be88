"""The SDK's client of an engine."""

from __future__ import annotations

from typing import Any

from devstack.docker import context, podman_api
from devstack.docker.engine import DOCKER, PODMAN, Engine


def connect(engine: Engine = DOCKER) -> Any:
    """Return the SDK's client of an engine; it asks the engine for the version of its API.

    Raises:
        DevstackError: ``DOCKER_CONTEXT_UNKNOWN`` or ``PODMAN_STOPPED``.
    """
    return podman_api.connect() if engine == PODMAN else context.connect()


def engine_host(engine: Engine) -> str:
    """Return the address of an engine, such as ``unix:///var/run/docker.sock``.

    Nothing is started or asked, so that of a Podman on this machine has no path.
    """
    if engine == PODMAN:
        return podman_api.podman_host() or "unix://"
    return context.current_host()
