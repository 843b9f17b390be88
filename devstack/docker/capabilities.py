"""Hosts that withhold CAP_SYS_RESOURCE, on which no privileged container starts."""

from __future__ import annotations

from pathlib import Path

from devstack.process import Runner

CAP_SYS_RESOURCE = 24
RUNTIME = "devstack"
"""The name under which scripts/prepare-docker gives Docker the runc wrapper."""


def withholds_sys_resource(status: Path = Path("/proc/self/status")) -> bool:
    """Tell whether this host withholds CAP_SYS_RESOURCE.

    Args:
        status: a process's status file; its bounding set is looked at.
    """
    if not status.exists():
        return False
    for line in status.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "CapBnd":
            return not int(value, 16) >> CAP_SYS_RESOURCE & 1
    return False


def wrapper_is_default(runner: Runner) -> bool:
    """Tell whether Docker starts containers through devstack's runc wrapper."""
    argv = ["docker", "info", "--format", "{{.DefaultRuntime}}"]
    return runner.run(argv, check=False, timeout=30).stdout.strip() == RUNTIME
