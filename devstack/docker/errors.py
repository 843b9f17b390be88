"""Errors of Docker, from its API and from its command line, as errors with a remedy.

The codes: ``DOCKER_MISSING``, ``PODMAN_MISSING``, ``DOCKER_STOPPED``, ``DOCKER_FORBIDDEN``,
``DOCKER_REFUSED`` (the engine rejects a request), ``DOCKER_CLIENT`` (client and engine have no
version of the API in common) and ``DOCKER_FAILED`` (a command of the ``docker`` client fails).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from devstack.docker.applications import how_to_start, installed_elsewhere
from devstack.docker.engine import DOCKER, Engine
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


@contextmanager
def translate_docker_errors() -> Iterator[None]:
    """Turn exceptions of the Docker SDK into errors with a remedy.

    Raises:
        DevstackError: ``DOCKER_REFUSED`` if the engine rejects a request,
            ``DOCKER_FORBIDDEN`` or ``DOCKER_STOPPED`` if it cannot be reached.
    """
    import docker
    import requests

    try:
        yield
    except docker.errors.APIError as error:
        raise DevstackError(
            "Docker refused",
            cause=error.explanation or str(error),
            remedy="see `docker ps -a` and `devstack doctor`; then run the command again",
            code="DOCKER_REFUSED",
            exit_status=ExitStatus.ENVIRONMENT,
        ) from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        causes = _causes(error)
        if any(isinstance(cause, PermissionError) for cause in causes):
            raise docker_forbidden() from error
        raise docker_stopped(str(causes[-1])) from error


def command_failed(done: Completed) -> DevstackError:
    """Return the error for a command of the ``docker`` client that failed."""
    stderr = done.stderr.lower()
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
    if engine != DOCKER:
        return DevstackError(
            f"{engine.title} is not installed",
            remedy=f"install {engine.title}, or omit --engine {engine.name} to use Docker",
            code="PODMAN_MISSING",
            exit_status=ExitStatus.ENVIRONMENT,
        )
    cause, remedy = installed_elsewhere(runner)
    return DevstackError(
        "Docker is not installed",
        cause=cause,
        remedy=remedy or INSTALL,
        code="DOCKER_MISSING",
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
    """Return the error for an engine that does not answer."""
    return DevstackError(
        "Docker does not answer",
        cause=cause,
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
