"""What `doctor` looks at in an engine; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from devstack.docker.connection import connect
from devstack.docker.engine import Engine
from devstack.docker.errors import translate_docker_errors
from devstack.owner import DIRECTORY_LABEL, Owner


def read_subnets(engine: Engine) -> dict[str, list[str]]:
    """Return the subnets of all networks, by the network's name."""
    with translate_docker_errors(engine):
        networks = connect(engine).api.networks()
    return {
        network["Name"]: [
            entry["Subnet"]
            for entry in (network.get("IPAM") or {}).get("Config") or []
            if entry.get("Subnet")
        ]
        for network in networks
    }


def list_owned(engine: Engine) -> list[tuple[str, str, Owner]]:
    """Return kind, name and owner of all that carries a stack directory's label."""
    with translate_docker_errors(engine):
        return list(_owned(connect(engine).api))


def _owned(api: Any) -> Iterator[tuple[str, str, Owner]]:
    of_stacks = {"label": DIRECTORY_LABEL}
    for each in api.containers(all=True, filters=of_stacks):
        yield "container", each["Names"][0].lstrip("/"), Owner.from_labels(each["Labels"])
    for each in api.networks(filters=of_stacks):
        yield "network", each["Name"], Owner.from_labels(each["Labels"])
    for each in api.volumes(filters=of_stacks)["Volumes"] or []:
        yield "volume", each["Name"], Owner.from_labels(each["Labels"])
