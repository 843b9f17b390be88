"""Checks of networks: addresses for one more, free host ports, names inside pods."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from devstack.doctor.check import REQUEST_TIMEOUT, Check, Fault, Finding, NotApplicableError
from devstack.doctor.engine import ask_nodes, is_podman, require_all, require_engine
from devstack.kube.resources import CORE
from devstack.ports import is_free, listener
from devstack.services.packages.machine import read_machine_settings
from devstack.stack import Stack

Network = ipaddress.IPv4Network

BUILT_IN_POOLS = (
    *(f"172.{number}.0.0/16" for number in range(17, 32)),
    *(f"192.168.{number}.0/20" for number in range(0, 256, 16)),
)
"""What an engine without the setting default-address-pools gives to networks, each once."""

API_NAME = "kubernetes.default.svc.cluster.local"
_ASK = """\
exec 3<>/dev/udp/{server}/53 && printf '{query}' | dd bs=512 iflag=fullblock >&3 2>/dev/null
timeout 2 dd bs=512 count=1 <&3 2>/dev/null | od -An -v -tx1 | tr -d ' \\n'
"""
"""One packet each: bash itself would send a query in parts, divided at its newlines."""

_REFUSALS = {0: "an answer without addresses", 2: "a failure (SERVFAIL)", 3: "no such name"}


def _address_pools(stack: Stack) -> list[Finding]:
    provider = require_engine(stack)
    if stack.dir.exists() and stack.state.phase != "retained":
        raise NotApplicableError("the stack has its network")
    used = [
        # Engines before Docker 25 keep a subnet with host bits as the user wrote it.
        ipaddress.IPv4Network(subnet, strict=False)
        for subnets in provider.engine_subnets().values()
        for subnet in subnets
        if ":" not in subnet
    ]
    pools = _pools(provider.describe_engine().info)
    free = [each for each in pools if not any(each.overlaps(other) for other in used)]
    if free:
        return []
    cause = f"all {len(pools)} address pools of the engine are used by its {len(used)} networks"
    remedy = f"{stack.spec.engine} network prune removes unused networks; or set "
    if is_podman(stack):
        remedy += "default_subnet_pools in the table [network] of containers.conf"
    else:
        remedy += "default-address-pools in the engine's daemon.json"
    return [Finding(cause, remedy, "ADDRESS_POOLS_FULL")]


def _pools(info: Mapping[str, Any]) -> list[Network]:
    """Return the subnets that the engine gives to networks (`docker info`)."""
    configured = info.get("DefaultAddressPools") or []
    if not configured:
        return [ipaddress.IPv4Network(each) for each in BUILT_IN_POOLS]
    pools: list[Network] = []
    for each in configured:
        base = ipaddress.ip_network(each["Base"], strict=False)
        if isinstance(base, Network):
            # More than these are not worth counting.
            pools += list(base.subnets(new_prefix=int(each["Size"])))[:1024]
    return pools


def _free_ports(stack: Stack) -> list[Finding]:
    if stack.is_up:
        raise NotApplicableError("the stack uses them")
    provider = stack.provider
    exists = (
        provider.owns_cluster
        and not provider.check(stack.cluster)
        and provider.status(stack.cluster).state != "absent"
    )
    if exists:
        raise NotApplicableError("the cluster uses them")
    return [
        Finding(
            f"port {port} ({name}) is taken by {listener(port) or 'another program'}",
            f"end that program, or choose another: devstack up --port {name}=PORT",
            "PORT_TAKEN",
        )
        for name, port in {**stack.spec.ports, **stack.state.ports}.items()
        if not is_free(port)
    ]


def _dns(stack: Stack) -> list[Finding]:
    require_engine(stack)
    service = stack.kube(REQUEST_TIMEOUT).get(CORE, "Service", "kube-dns", "kube-system")
    server = service["spec"]["clusterIP"]
    refusals, silent = _ask_all(stack, server, API_NAME)
    if refusals:
        cause = f"names of Services are not resolved: {_first(refusals)}"
        remedy = "devstack kubectl --admin -n kube-system rollout restart deployment/coredns"
        return [Finding(cause, remedy, "DNS_DOWN")]
    found = []
    for name in sorted(filter(_resolves_here, read_machine_settings(os.environ).hosts)):
        refusals, later = _ask_all(stack, server, name)
        silent += later
        if refusals:
            cause = f"pods cannot resolve {name}, but this machine can: {_first(refusals)}"
            remedy = f"add the name server (such as a VPN's) to {_dns_setting(stack)}; names in "
            remedy += "/etc/hosts are not seen"
            found.append(Finding(cause, remedy, "DNS_DIFFERENT", "warning"))
    if not found:
        require_all(sorted(set(silent)))
    return found


def _dns_setting(stack: Stack) -> str:
    if is_podman(stack):
        return 'containers.conf: dns_servers = ["ADDRESS"] in the table [containers]'
    return 'the engine\'s daemon.json as "dns": ["ADDRESS"] and restart the engine'


def _first(refusals: Mapping[str, str]) -> str:
    return next(f"{node} got {refusal}" for node, refusal in sorted(refusals.items()))


def _ask_all(stack: Stack, server: str, name: str) -> tuple[dict[str, str], list[str]]:
    """Ask the cluster's name server from each node.

    Returns:
        The refusals by node, and the nodes that could not ask.
    """
    script = _ASK.format(server=server, query=_escape(build_query(name)))
    answers, silent = ask_nodes(stack, script)
    judged = {node: refusal_in(answer) for node, answer in answers.items()}
    return {node: refusal for node, refusal in judged.items() if refusal}, silent


def build_query(name: str) -> bytes:
    """Return a query for the IPv4 addresses of a name (RFC 1035, section 4.1)."""
    header = b"\x2a\x2a\x01\x00\x00\x01" + bytes(6)
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.split("."))
    return header + labels + b"\x00\x00\x01\x00\x01"


def _escape(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)


def refusal_in(answer: str) -> str:
    """Return why an answer, in hexadecimal, has no addresses; empty if it has (RFC 1035, 4.1.1)."""
    if not re.fullmatch(r"([0-9a-f]{2}){12,}", answer.strip()):
        return "no answer"
    header = bytes.fromhex(answer.strip())
    code, addresses = header[3] & 0x0F, int.from_bytes(header[6:8], "big")
    return "" if code == 0 and addresses else _REFUSALS.get(code, f"error {code}")


def _resolves_here(name: str) -> bool:
    if _is_address(name) or "." not in name:
        return False
    try:
        return bool(socket.getaddrinfo(name, None, socket.AF_INET))
    except OSError:
        return False


def _is_address(name: str) -> bool:
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False


NETWORK_CHECKS: Iterable[Check] = (
    Check(
        "address-pools",
        "the engine has addresses for one more network",
        _address_pools,
        (
            Fault(
                "ADDRESS_POOLS_FULL",
                "The engine's about 30 subnets are used up, so no network can be created for "
                "the cluster.",
                "`docker network prune`, or set `default-address-pools` in daemon.json.",
            ),
        ),
    ),
    Check(
        "free-ports",
        "the host ports that the stack is to have are free",
        _free_ports,
        (
            Fault(
                "PORT_TAKEN",
                "Another program listens on a port that was configured, or that the stack had.",
                "End that program, or `devstack up --port NAME=PORT`.",
            ),
        ),
    ),
    Check(
        "dns",
        "pods resolve the names that they need",
        _dns,
        (
            Fault(
                "DNS_DOWN",
                "CoreDNS does not answer, or Services cannot be reached.",
                "Restart CoreDNS; `devstack logs --cluster DIR` shows its log.",
            ),
            Fault(
                "DNS_DIFFERENT",
                "This machine resolves an index's or proxy's name that pods cannot, such as one "
                "of a VPN or of /etc/hosts.",
                "Name the name server in the engine's daemon.json (`dns`).",
                "warning",
            ),
        ),
        needs_stack=True,
    ),
)
