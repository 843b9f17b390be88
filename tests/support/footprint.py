"""What a stack leaves on a machine, by comparison of the states before and after.

Other stacks may run on the same machine.  Resources of a running container of another
cluster, or of a process with another home folder, are ignored.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import docker
import psutil

from tests.support.commandline import Devstack

CLUSTER_LABEL = "io.x-k8s.kind.cluster"
COMPOSE_LABEL = "com.docker.compose.project"
TEST_LABEL = "devstack.dev/test"
"""On containers that a test creates for itself: other tests run at the same time."""

BUILDER = "devstack-image-builder"
"""The container that builds images belongs to no stack."""


@dataclass(frozen=True)
class Footprint:
    """Everything that could be left behind, with readable names."""

    processes: frozenset[str]
    ports: frozenset[str]
    containers: frozenset[str]
    volumes: frozenset[str]
    networks: frozenset[str]
    files: frozenset[str]

    def since(self, before: Footprint) -> dict[str, list[str]]:
        """Return what is here and was not ``before``, by kind; empty if there is nothing."""
        grown = {
            each.name: sorted(getattr(self, each.name) - getattr(before, each.name))
            for each in fields(self)
        }
        return {kind: things for kind, things in grown.items() if things}


def take(stack: Devstack, *folders: Path) -> Footprint:
    """Return what of ``stack`` there is on this machine now, and the files in ``folders``."""
    engine = docker.from_env()
    others = [
        each
        for each in engine.containers.list(all=True, ignore_removed=True)
        if _is_foreign(each, stack)
    ]
    processes = list(_processes(stack))
    return Footprint(
        processes=frozenset(f"{each.pid} {' '.join(each.cmdline())}" for each in processes),
        ports=frozenset(_ports({each.pid for each in processes}, others)),
        containers=frozenset(_containers(engine, stack)),
        volumes=frozenset(_volumes(engine, stack)),
        networks=frozenset(_networks(engine, stack)),
        files=frozenset(line for folder in folders for line in _files(folder)),
    )


def _is_foreign(container: Any, stack: Devstack) -> bool:
    if {TEST_LABEL, COMPOSE_LABEL} & set(container.labels):
        return True
    label = container.labels.get(CLUSTER_LABEL)
    return label is not None and label != f"devstack-{stack.name}"


def _processes(stack: Devstack) -> Iterator[psutil.Process]:
    """Yield processes that use the stack's home folder, or name its cluster."""
    cluster = f"devstack-{stack.name}"
    for process in psutil.process_iter():
        try:
            ours = process.environ().get("DEVSTACK_HOME") == str(stack.home)
            if ours or cluster in process.cmdline():
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def _ports(ours: set[int], others: list[Any]) -> Iterator[str]:
    """Yield listening sockets of our processes, and Docker's except those of other clusters."""
    other_addresses = {
        network["IPAddress"]
        for container in others
        for network in container.attrs["NetworkSettings"]["Networks"].values()
    }
    for connection in psutil.net_connections("tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
            continue
        try:
            argv = psutil.Process(connection.pid).cmdline()
        except psutil.NoSuchProcess:
            continue
        proxies = (
            bool(argv) and argv[0].endswith("docker-proxy") and not other_addresses & set(argv)
        )
        if proxies or connection.pid in ours:
            yield f"{connection.laddr.ip}:{connection.laddr.port}"


def _containers(engine: Any, stack: Devstack) -> Iterator[str]:
    for container in engine.containers.list(all=True, ignore_removed=True):
        if not _is_foreign(container, stack) and container.name != BUILDER:
            yield container.name


def _networks(engine: Any, stack: Devstack) -> Iterator[str]:
    for network in engine.networks.list():
        other = network.name.startswith("devstack-") and network.name != f"devstack-{stack.name}"
        if not other:
            yield network.name


def _volumes(engine: Any, stack: Devstack) -> Iterator[str]:
    """Yield unused volumes except other stacks' claims to their names."""
    for volume in engine.volumes.list(filters={"dangling": True}):
        if not volume.name.endswith(".owner") or volume.name == f"devstack-{stack.name}.owner":
            yield volume.name


def _files(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
            yield f"{path} {stat.filemode(mode)} {digest}"
        elif not stat.S_ISDIR(mode):
            yield f"{path} {stat.filemode(mode)}"
