"""A Docker network like the one that kind creates, but with labels.

kind uses an existing network of the name in KIND_EXPERIMENTAL_DOCKER_NETWORK as it is, so
ours has the same options: masquerading, the MTU of the default bridge, and an IPv6 subnet
derived from the name where the engine has IPv6.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from typing import Any

ATTEMPTS = 5
"""How many IPv6 subnets are tried if they overlap with other networks."""

_MTU = "com.docker.network.driver.mtu"
_OVERLAP = ("Pool overlaps", "networks have overlapping")
_WITHOUT_IPV6 = ("Cannot read IPv6 setup", "Unable to enable NAT rule", "ip6tables")


def create_network(client: Any, name: str, labels: Mapping[str, str]) -> None:
    """Create a bridge network.

    Args:
        client: the Docker SDK's client.
        name: the network's name.
        labels: its labels.

    Raises:
        docker.errors.APIError: Docker refused.
    """
    import docker

    for attempt in range(ATTEMPTS):
        try:
            return _create(client, name, labels, ipv6_subnet(name, attempt))
        except docker.errors.APIError as error:
            text = error.explanation or str(error)
            if any(message in text for message in _WITHOUT_IPV6):
                break
            if not any(message in text for message in _OVERLAP):
                raise
    return _create(client, name, labels, "")


def ipv6_subnet(name: str, attempt: int) -> str:
    """Return a /64 subnet of unique local addresses, derived from a network's name as kind does."""
    digest = hashlib.sha1(
        name.encode() + attempt.to_bytes(4, "little"), usedforsecurity=False
    ).digest()
    prefix = bytes([0xFC, 0]) + digest[2:8] + bytes(8)
    return f"{ipaddress.IPv6Address(prefix)}/64"


def _create(client: Any, name: str, labels: Mapping[str, str], subnet: str) -> None:
    import docker

    options = {"com.docker.network.bridge.enable_ip_masquerade": "true", **_default_mtu(client)}
    ipam = None
    if subnet:
        ipam = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=subnet)])
    client.networks.create(
        name,
        driver="bridge",
        options=options,
        ipam=ipam,
        enable_ipv6=bool(subnet),
        labels=dict(labels),
        check_duplicate=True,
    )


def _default_mtu(client: Any) -> dict[str, str]:
    for network in client.networks.list(names=["bridge"]):
        if network.name == "bridge" and _MTU in network.attrs.get("Options", {}):
            return {_MTU: network.attrs["Options"][_MTU]}
    return {}
