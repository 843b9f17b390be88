"""Whether kind's nodes can run in the engine, checked before anything is created in it."""

from __future__ import annotations

from pathlib import Path

from devstack.docker.client import DockerClient
from devstack.docker.connection import engine_host
from devstack.docker.engine import PODMAN
from devstack.docker.folders import require_mountable
from devstack.docker.recognition import (
    Fault,
    engine_faults,
    recognize,
    remote_fault,
    sees_the_same_files,
    snap_fault,
)
from devstack.errors import DevstackError
from devstack.owner import Owner
from devstack.paths import cache_home
from devstack.process import Runner
from devstack.providers.base import Problem


def find_problems(
    engine: DockerClient, folder: Path, *, only_answers: bool = False
) -> list[Problem]:
    """Return why an engine cannot run nodes; empty if it can.

    Args:
        engine: the engine, which need not answer.
        folder: the stack's directory, whose files nodes mount.
        only_answers: True if it is known to run nodes, as long as it answers.
    """
    try:
        if fault := remote_fault(engine_host(engine.engine)):
            return [to_problem(fault)]
        engine.require_usable()
        if only_answers:
            return []
        info, version = engine.info(), engine.version()
    except DevstackError as error:
        return [Problem(str(error), error.remedy, error.code)]
    product = recognize(info, version)
    faults = engine_faults(product, info, podman=engine.engine == PODMAN)
    hidden = (snap_fault(product, path) for path in (folder, cache_home()))
    faults += [fault for fault in hidden if fault][:1]
    return [to_problem(fault) for fault in faults]


def require_folder(
    engine: DockerClient, runner: Runner, image: str, folder: Path, owner: Owner
) -> None:
    """Raise unless nodes can mount files of a folder.

    Args:
        engine: the engine.
        runner: runs its command.
        image: an image that it has.
        folder: the folder, absolute.
        owner: the owner of the container that tries it.

    Raises:
        DevstackError: ``ENGINE_FOLDER``.
    """
    info = engine.info()
    product = recognize(info, engine.version())
    if not sees_the_same_files(product, info, engine_host(engine.engine)):
        require_mountable(runner, image, folder.resolve(), product, owner.labels())


def to_problem(fault: Fault) -> Problem:
    """Return the problem of a provider for a fault of its engine."""
    return Problem(fault.message, fault.remedy, fault.code)
