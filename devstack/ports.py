"""Choosing host ports on loopback: free at `up`, the same ever after."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from devstack.errors import DevstackError

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Return True where nothing listens on ``port`` of loopback, or of all addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def any_free(taken: set[int]) -> int:
    """Return a free port that the kernel picks, none of ``taken``."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port


def choose(
    preferred: Mapping[str, int],
    wanted: Mapping[str, int],
    remembered: Mapping[str, int],
) -> dict[str, int]:
    """Choose a host port for each name.

    Args:
        preferred: the port tried first by name; 0 for any.
        wanted: ports that the user named; these and no others will do.
        remembered: ports of an earlier `up`, kept as they are.

    Raises:
        DevstackError: ``PORT_UNKNOWN`` or ``PORT_TAKEN``.
    """
    unknown = sorted(set(wanted) - set(preferred))
    if unknown:
        raise DevstackError(
            f"cannot set the port of {', '.join(unknown)}",
            cause=f"the stack has the ports {', '.join(sorted(preferred))}",
            code="PORT_UNKNOWN",
        )
    chosen: dict[str, int] = {}
    for name, first in preferred.items():
        port = wanted.get(name) or remembered.get(name)
        if port is None:
            used = set(chosen.values()) | set(remembered.values()) | set(wanted.values())
            usable = first and first not in used and is_free(first)
            port = first if usable else any_free(used)
        chosen[name] = port
    return chosen


def require_free(ports: Mapping[str, int]) -> None:
    """Raise ``PORT_TAKEN``, naming the holder, where a port is in use.

    Called right before the cluster is made: its own ports are in use later on.
    """
    for name, port in ports.items():
        if not is_free(port):
            raise DevstackError(
                f"cannot use port {port} for {name}",
                cause=f"it is taken by {listener(port)}",
                remedy=f"end that program, or choose another: devstack up --port {name}=PORT",
                code="PORT_TAKEN",
            )


def listener(port: int) -> str | None:
    """Return who listens on ``port``, as a person would name it; None for nobody."""
    import psutil

    if is_free(port):
        return None
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return "another program"
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN
        if listens and getattr(connection.laddr, "port", 0) == port:
            if connection.pid is None:
                break
            return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return "another program"
