"""Requirements of clusters whose nodes are Docker containers on this machine."""

from __future__ import annotations

from devstack.docker.capabilities import withholds_sys_resource, wrapper_is_default
from devstack.paths import prepare_docker
from devstack.process import Runner
from devstack.providers.base import Problem


def check_docker_host(runner: Runner) -> list[Problem]:
    """Return why node containers may not work here; Docker itself is known to answer."""
    if not withholds_sys_resource() or wrapper_is_default(runner):
        return []
    return [
        Problem(
            "this host withholds CAP_SYS_RESOURCE, so no privileged container can start",
            f"{prepare_docker()} configures Docker to work without it",
            "CAP_SYS_RESOURCE",
        )
    ]
