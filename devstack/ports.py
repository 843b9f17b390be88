"""Host ports on loopback: chosen once, by the first `up`, and kept."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress

from devstack.errors import DevstackError, ExitStatus

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Return True if nothing listens on ``port`` of loopback, or of all addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except PermissionError:
            # A port below 1024: Docker may bind it, but this user may not.
            return probe.connect_ex((LOOPBACK, port)) != 0
        except OSError:
            return False
    return True


def any_free(taken: set[int]) -> int:
    """Return a free port chosen by the kernel, except those ``taken``."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port


def choose(
    preferred: Mapping[str, int],
    requested: Mapping[str, int],
    remembered: Mapping[str, int],
) -> dict[str, int]:
    """Choose a host port for each name.

    Args:
        preferred: the port tried first by name; 0 for any.
        requested: ports that the user specifies.
        remembered: ports of an earlier `up`, which do not change.

    Raises:
        DevstackError: ``PORT_UNKNOWN`` or ``PORT_DUPLICATE``.
    """
    _require_known(requested, preferred)
    chosen: dict[str, int] = {}
    for name, first in preferred.items():
        port = requested.get(name) or remembered.get(name)
        if port is None:
            used = set(chosen.values()) | set(remembered.values()) | set(requested.values())
            usable = first and first not in used and is_free(first)
            port = first if usable else any_free(used)
        chosen[name] = port
    _require_distinct(chosen)
    return chosen


def _require_known(requested: Mapping[str, int], preferred: Mapping[str, int]) -> None:
    unknown = sorted(set(requested) - set(preferred))
    if unknown:
        raise DevstackError(
            f"cannot set the port of {', '.join(unknown)}",
            cause="the stack has no such port",
            remedy=f"choose from {', '.join(sorted(preferred))}",
            code="PORT_UNKNOWN",
            exit_status=ExitStatus.USAGE,
        )


def _require_distinct(ports: Mapping[str, int]) -> None:
    names: dict[int, str] = {}
    for name, port in ports.items():
        if port in names:
            raise DevstackError(
                f"cannot use port {port} for {name}",
                cause=f"{names[port]} has it already",
                remedy=f"choose another: devstack up --port {name}=PORT",
                code="PORT_DUPLICATE",
                exit_status=ExitStatus.USAGE,
            )
        names[port] = name


class PortTakenError(DevstackError):
    """Another program uses a port."""

    def __init__(
        self, message: str, *, cause: str = "", remedy: str = "", output: str = ""
    ) -> None:
        super().__init__(
            message,
            cause=cause,
            remedy=remedy,
            code="PORT_TAKEN",
            exit_status=ExitStatus.ENVIRONMENT,
            output=output,
        )


def require_free(ports: Mapping[str, int]) -> None:
    """Raise :class:`PortTakenError`, naming the program, if a port is in use.

    Called right before the cluster is created: afterwards it uses the ports itself.
    """
    for name, port in ports.items():
        if not is_free(port):
            raise PortTakenError(
                f"cannot use port {port} for {name}",
                cause=f"it is taken by {listener(port)}",
                remedy=f"end that program, or choose another: devstack up --port {name}=PORT",
            )


def listener(port: int) -> str | None:
    """Return a description of the program that listens on ``port``; None if there is none."""
    import psutil

    if is_free(port):
        return None
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN
            if listens and getattr(connection.laddr, "port", 0) == port:
                # psutil returns no process ID for other users' processes.
                return _describe(connection.pid) if connection.pid else "another user's program"
    return "another program"


def _describe(pid: int) -> str:
    import psutil

    return f"process {pid} ({psutil.Process(pid).name()})"
