"""Hosts that withhold CAP_SYS_RESOURCE, on which no privileged container starts."""

from __future__ import annotations

from pathlib import Path

from devstack.process import Runner

CAP_SYS_RESOURCE = 24
RUNTIME = "devstack"
"""The name of the runtime with the runc wrapper, configured by scripts/prepare-docker."""


def withholds_sys_resource(status: Path = Path("/proc/self/status")) -> bool:
    """Return True if this host withholds CAP_SYS_RESOURCE.

    Args:
        status: the status file of a process, for its bounding set.
    """
    if not status.exists():
        return False
    for line in status.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "CapBnd":
            return not int(value, 16) >> CAP_SYS_RESOURCE & 1
    return False


def wrapper_is_default(runner: Runner) -> bool:
    """Return True if Docker starts containers through devstack's runc wrapper."""
    argv = ["docker", "info", "--format", "{{.DefaultRuntime}}"]
    return runner.run(argv, check=False, timeout=30).stdout.strip() == RUNTIME
