"""Requirements of clusters whose nodes are Docker containers on this machine."""

from __future__ import annotations

from devstack.docker.capabilities import withholds_sys_resource, wrapper_is_default
from devstack.docker.engine import PODMAN
from devstack.docker.podman import engine_of
from devstack.paths import document, prepare_docker
from devstack.process import Runner
from devstack.providers.base import Problem


def check_docker_host(runner: Runner) -> list[Problem]:
    """Return why node containers may not work here; Docker itself is known to answer."""
    if not withholds_sys_resource() or wrapper_is_default(runner):
        return []
    remedy = f"{prepare_docker()} configures Docker to work without it"
    if engine_of(runner) == PODMAN:
        remedy = "with this containers.conf Podman works without it: " + document("machines.md")
    return [
        Problem(
            "this host withholds CAP_SYS_RESOURCE, so no privileged container can start",
            remedy,
            "CAP_SYS_RESOURCE",
        )
    ]
