"""Errors of the engine, from its API and from its command line, as errors with a remedy.

The codes: ``DOCKER_MISSING``, ``PODMAN_MISSING``, ``DOCKER_STOPPED``, ``PODMAN_STOPPED``,
``DOCKER_FORBIDDEN``,
``DOCKER_REFUSED`` (the engine rejects a request), ``DOCKER_CLIENT`` (client and engine have no
version of the API in common) and ``DOCKER_FAILED`` (a command of the ``docker`` client fails).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from devstack.docker.applications import how_to_start, installed_elsewhere
from devstack.docker.context import current_source
from devstack.docker.engine import DOCKER, PODMAN, Engine
from devstack.errors import DevstackError, ExitStatus
from devstack.paths import prepare_docker
from devstack.process import Completed, Runner, failed

INSTALL = (
    "install Docker and start it; on a Debian-family machine as root, "
    f"`{prepare_docker()}` does both. Or use a cluster that you have: "
    "devstack up --context NAME"
)


_NO_COMMON_API = re.compile(r"client version [\d.]+ is too (old|new)|API version [\d.]+ .*minimum")
"""What clients and engines say that are too far apart: Docker 29 dropped APIs before 1.44."""


_NO_PODMAN = re.compile(r"cannot connect to podman|unable to connect to podman")
"""What Podman's program says if it uses a service or a machine that does not answer."""


@contextmanager
def translate_docker_errors(engine: Engine = DOCKER) -> Iterator[None]:
    """Turn exceptions of the Docker SDK into errors with a remedy.

    Args:
        engine: the engine that is asked.

    Raises:
        DevstackError: ``DOCKER_REFUSED`` if the engine rejects a request; ``DOCKER_FORBIDDEN``,
            ``DOCKER_STOPPED`` or ``PODMAN_STOPPED`` if it cannot be reached.
    """
    import docker
    import requests

    try:
        yield
    except docker.errors.APIError as error:
        raise DevstackError(
            f"{engine.title} refused",
            cause=error.explanation or str(error),
            remedy=f"see `{engine.name} ps -a` and `devstack doctor`; then run the command again",
            code="DOCKER_REFUSED",
            exit_status=ExitStatus.ENVIRONMENT,
        ) from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        causes = _causes(error)
        if engine == PODMAN:
            raise podman_stopped(str(causes[-1])) from error
        if any(isinstance(cause, PermissionError) for cause in causes):
            raise docker_forbidden() from error
        raise docker_stopped(str(causes[-1])) from error


def command_failed(done: Completed, engine: Engine = DOCKER) -> DevstackError:
    """Return the error for a command of an engine's client that failed."""
    stderr = done.stderr.lower()
    if engine == PODMAN and _NO_PODMAN.search(stderr):
        return podman_stopped(done.stderr.strip())
    if "permission denied" in stderr and "docker daemon socket" in stderr:
        return docker_forbidden()
    if "cannot connect to the docker daemon" in stderr or "error during connect" in stderr:
        lines = done.stderr.strip().splitlines()
        return docker_stopped(lines[-1])
    if _NO_COMMON_API.search(done.stderr):
        return _no_common_api(done.stderr.strip().splitlines()[-1])
    error = failed(done)
    error.code = "DOCKER_FAILED"
    error.exit_status = ExitStatus.ENVIRONMENT
    return error


def engine_missing(engine: Engine, runner: Runner) -> DevstackError:
    """Return the error for a machine without the engine's program."""
    if engine == PODMAN:
        return podman_missing()
    cause, remedy = installed_elsewhere(runner)
    return DevstackError(
        "Docker is not installed",
        cause=cause,
        remedy=remedy or INSTALL,
        code="DOCKER_MISSING",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def podman_missing() -> DevstackError:
    """Return the error for a machine without Podman's program."""
    return DevstackError(
        "Podman is not installed",
        remedy="install Podman; or use Docker: omit --engine podman, and `engine` in the settings",
        code="PODMAN_MISSING",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def podman_stopped(cause: str) -> DevstackError:
    """Return the error for Podman that does not answer.

    Args:
        cause: what is known of it; the last line is shown.
    """
    if sys.platform == "linux":
        remedy = "`podman info` shows what is wrong"
    else:
        remedy = "start its machine: podman machine start"
    if host := os.environ.get("CONTAINER_HOST"):
        cause = f"{cause.splitlines()[-1]} (CONTAINER_HOST is {host})"
        remedy = f"unset CONTAINER_HOST, or start the service there; {remedy}"
    return DevstackError(
        "Podman does not answer",
        cause=cause.splitlines()[-1] if cause else "",
        remedy=remedy,
        code="PODMAN_STOPPED",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def _no_common_api(cause: str) -> DevstackError:
    return DevstackError(
        "the `docker` command and the engine have no version of Docker's API in common",
        cause=cause,
        remedy="`docker version` shows both: update the older one",
        code="DOCKER_CLIENT",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def docker_forbidden() -> DevstackError:
    """Return the error for a user who may not use the engine."""
    return DevstackError(
        "Docker refuses this user",
        remedy="add yourself to the group `docker` and log in again, or use rootless Docker",
        code="DOCKER_FORBIDDEN",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def docker_stopped(cause: str) -> DevstackError:
    """Return the error for Docker that does not answer, with the address and its source."""
    return DevstackError(
        "Docker does not answer",
        cause=f"{cause} ({current_source()})",
        remedy=how_to_start(),
        code="DOCKER_STOPPED",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def _causes(error: BaseException) -> list[BaseException]:
    """Return an exception and its causes, the first cause last.

    requests and urllib3 keep the operating system's error as an argument, not as ``__cause__``.
    """
    found: list[BaseException] = []
    queue: list[object] = [error]
    while queue:
        item = queue.pop()
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            queue += [item.__cause__, item.__context__, *item.args]
    return found
