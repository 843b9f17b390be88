"""What `doctor` looks at in a Docker engine; nothing is changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from devstack.docker.context import _endpoint, connect, current_context
from devstack.docker.errors import translate_docker_errors
from devstack.owner import DIRECTORY_LABEL, Owner

DEFAULT_ADDRESS = "unix:///var/run/docker.sock"


def read_subnets() -> dict[str, list[str]]:
    """Return the subnets of all networks, by the network's name."""
    with translate_docker_errors():
        networks = connect().api.networks()
    return {
        network["Name"]: [
            entry["Subnet"]
            for entry in (network.get("IPAM") or {}).get("Config") or []
            if entry.get("Subnet")
        ]
        for network in networks
    }


def list_owned() -> list[tuple[str, str, Owner]]:
    """Return kind, name and owner of all that carries a stack directory's label."""
    with translate_docker_errors():
        return list(_owned(connect().api))


def _owned(api: Any) -> Iterator[tuple[str, str, Owner]]:
    of_stacks = {"label": DIRECTORY_LABEL}
    for each in api.containers(all=True, filters=of_stacks):
        yield "container", each["Names"][0].lstrip("/"), Owner.from_labels(each["Labels"])
    for each in api.networks(filters=of_stacks):
        yield "network", each["Name"], Owner.from_labels(each["Labels"])
    for each in api.volumes(filters=of_stacks)["Volumes"] or []:
        yield "volume", each["Name"], Owner.from_labels(each["Labels"])


def engine_address() -> str:
    """Return the URL of the engine that the ``docker`` command uses; nothing is connected to."""
    name = current_context()
    if name == "default":
        return os.environ.get("DOCKER_HOST") or DEFAULT_ADDRESS
    return str(_endpoint(name).get("Host", ""))
