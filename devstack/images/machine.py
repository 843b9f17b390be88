"""What the machine is, in the words of Go, Docker and Debian."""

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
            cause="Kubernetes runs on amd64 and arm64 here",
            remedy="use provider `context` with a cluster elsewhere",
            code="ARCHITECTURE_UNKNOWN",
            exit_status=ExitStatus.ENVIRONMENT,
        )
    return ARCHITECTURES[machine]
