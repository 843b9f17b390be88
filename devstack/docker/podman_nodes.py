"""Containers of nodes in Podman: what its Docker-compatible API lacks of them.

Podman 4 describes containers by values that it does not accept in a request, such as the names of
limits, and kind gives each node a named volume. So a node like another one is created by a
command, with the arguments that kind uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_TEMPORARY = ("/tmp", "/run")  # noqa: S108 - of the node, not of this machine


def build_create_command(
    attrs: Mapping[str, Any], name: str, volume: str, body: Mapping[str, Any]
) -> list[str]:
    """Return the command that creates a container like one that exists.

    Source: ``runArgsForNode`` and ``commonArgs`` in kind's pkg/cluster/internal/providers/podman.

    Args:
        attrs: what Podman says of the existing one.
        name: the new one's name.
        volume: its own volume for /var.
        body: the request of :func:`devstack.docker.similar.build_similar`.
    """
    (network,) = body["NetworkingConfig"]["EndpointsConfig"]
    argv = ["docker", "create", "--name", name, "--hostname", name, "--net", network]
    argv += ["--privileged", "--tty", "--cgroupns=private"]
    for folder in _TEMPORARY:
        argv += ["--tmpfs", folder]
    for key, value in body["Labels"].items():
        argv += ["--label", f"{key}={value}"]
    for variable in body["Env"]:
        if not variable.startswith("HOSTNAME="):
            argv += ["--env", variable]
    argv += ["--volume", f"{volume}:/var:suid,exec,dev"]
    for bind in _folders(body["HostConfig"]["Binds"], named_volumes(attrs)):
        argv += ["--volume", bind]
    for device in attrs["HostConfig"].get("Devices") or []:
        argv += ["--device", device["PathOnHost"]]
    return [*argv, str(body["Image"]).removeprefix("sha256:")]


def named_volumes(attrs: Mapping[str, Any]) -> list[str]:
    """Return the volumes that a container has mounted; kind creates one for each node."""
    mounts = attrs.get("Mounts") or []
    return [str(mount["Name"]) for mount in mounts if mount.get("Type") == "volume"]


def _folders(binds: Sequence[str], volumes: Sequence[str]) -> list[str]:
    return [bind for bind in binds if bind.partition(":")[0] not in volumes]
