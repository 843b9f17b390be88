"""The engine's version of cgroups; unfreezing processes, which cannot be killed while frozen.

On cgroup v1 SIGKILL does not end a frozen process. The node's runc briefly freezes a
container while it sets it up; a node killed at that moment keeps a process that
never ends, and Docker cannot remove it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

FREEZER = "/sys/fs/cgroup/freezer"
_THAW = 'find /freezer -path "*$0*" -name freezer.state | while read f; do echo THAWED >"$f"; done'


def uses_cgroup_v1(info: Mapping[str, Any]) -> bool:
    """Return True if an engine says in its ``GET /info`` that it uses cgroup v1."""
    return str(info.get("CgroupVersion", "")) == "1"


def unfreeze(client: Any, container: Any, labels: Mapping[str, str]) -> None:
    """Unfreeze all processes of a container, if the engine uses cgroup v1.

    The engine may run on another machine, and the user may not be root, so a container of
    the same image does it.

    Args:
        client: the Docker SDK's client.
        container: the container that cannot be removed.
        labels: labels of the container that does it.
    """
    import docker

    with suppress(docker.errors.DockerException):
        if not uses_cgroup_v1(client.info()):
            return
        client.containers.run(
            container.attrs["Image"],
            entrypoint=["sh", "-c", _THAW, container.id],
            user="root",
            # Of the engine's machine, also if the engine maps users (userns-remap).
            userns_mode="host",
            labels=dict(labels),
            volumes={FREEZER: {"bind": "/freezer", "mode": "rw"}},
            network_disabled=True,
            remove=True,
        )
