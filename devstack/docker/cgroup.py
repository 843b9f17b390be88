"""Letting go of processes that are frozen, and so cannot be killed.

On cgroup v1 a frozen process does not even die of SIGKILL.  The node's runc
freezes a container for a moment while it sets it up; a node that is killed in
that moment is left with a process that never ends, and Docker cannot remove it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

FREEZER = "/sys/fs/cgroup/freezer"
_THAW = 'find /freezer -path "*$0*" -name freezer.state | while read f; do echo THAWED >"$f"; done'


def unfreeze(client: Any, container: Any) -> None:
    """Thaw all that is frozen in a container; nothing to do where cgroups are not v1.

    The engine may run on another machine, and the user may not be root: it is a
    container that does it, of the image that is there in any case.

    Args:
        client: the Docker SDK's client.
        container: the container that does not end.
    """
    import docker

    with suppress(docker.errors.DockerException):
        if client.info().get("CgroupVersion") != "1":
            return
        client.containers.run(
            container.attrs["Image"],
            entrypoint=["sh", "-c", _THAW, container.id],
            user="root",
            volumes={FREEZER: {"bind": "/freezer", "mode": "rw"}},
            network_disabled=True,
            remove=True,
        )
