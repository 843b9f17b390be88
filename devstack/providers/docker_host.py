"""Requirements of clusters whose nodes are Docker containers on this machine."""

from __future__ import annotations

from pathlib import Path

from devstack.docker.capabilities import withholds_sys_resource, wrapper_is_default
from devstack.process import Runner
from devstack.providers.base import Problem

INOTIFY_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_INSTANCES = 128
"""How many a node uses; too few are kind's known issue "too many open files"."""


def check_docker_host(runner: Runner, nodes: int) -> list[Problem]:
    """Return why node containers may not work here; Docker itself is known to answer."""
    return [*_check_capability(runner), *_check_inotify(nodes)]


def _check_capability(runner: Runner) -> list[Problem]:
    if not withholds_sys_resource() or wrapper_is_default(runner):
        return []
    return [
        Problem(
            "this host withholds CAP_SYS_RESOURCE, so no privileged container can start",
            "./scripts/prepare-docker configures Docker to work without it",
            "CAP_SYS_RESOURCE",
        )
    ]


def _check_inotify(nodes: int) -> list[Problem]:
    if not INOTIFY_LIMIT.exists():
        return []
    allowed, need = int(INOTIFY_LIMIT.read_text()), INOTIFY_INSTANCES * nodes
    if allowed >= need:
        return []
    return [
        Problem(
            f"fs.inotify.max_user_instances is {allowed}, too few for {nodes} node(s)",
            f"sysctl fs.inotify.max_user_instances={max(512, need)}",
            "INOTIFY_LOW",
            "warning",
        )
    ]
