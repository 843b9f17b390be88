"""The machine's architecture and operating system, as Go calls them; Docker and Debian, too."""

from __future__ import annotations

import platform

from devstack.errors import DevstackError, ExitStatus

ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def architecture() -> str:
    """Return ``amd64`` or ``arm64``.

    Raises:
        DevstackError: ``ARCHITECTURE_UNKNOWN``.
    """
    machine = platform.machine().lower()
    if machine not in ARCHITECTURES:
        raise DevstackError(
            f"cannot build images for {machine}",
            cause="devstack supports amd64 and arm64",
            remedy="use provider `context` with a cluster on another machine",
            code="ARCHITECTURE_UNKNOWN",
            exit_status=ExitStatus.ENVIRONMENT,
        )
    return ARCHITECTURES[machine]


def machine_name() -> str:
    """Return the architecture as Linux and Python call it: ``x86_64`` or ``aarch64``."""
    known = architecture()
    return next(name for name, each in ARCHITECTURES.items() if each == known)


def operating_system() -> str:
    """Return ``darwin`` on macOS, else ``linux``."""
    return "darwin" if platform.system() == "Darwin" else "linux"
