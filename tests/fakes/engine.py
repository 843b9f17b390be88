"""A provider whose nodes are containers of an engine that says of itself what a test sets."""

from __future__ import annotations

import json
import platform
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from devstack.docker.cgroup import uses_cgroup_v1
from devstack.docker.recognition import (
    Fault,
    Product,
    engine_faults,
    is_plainly_local,
    missing_controllers,
    recognize,
    remote_fault,
    snap_fault,
)
from devstack.providers.base import ClusterSpec, EngineDescription, EngineObject, Problem
from tests.fakes.stack import FakeLoadingProvider

GIB = 1024**3

RECORDED = Path(__file__).parents[1] / "unit" / "data" / "engines"


def info_of_this_machine() -> dict[str, Any]:
    """Return what Docker Engine reports if it runs on the machine of the test."""
    return {
        "ServerVersion": "20.10.24+dfsg1",
        "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
        "Name": platform.node(),
        "OSType": "linux",
        "Architecture": platform.machine(),
        "KernelVersion": platform.release(),
        "CgroupVersion": "2",
        "CgroupDriver": "systemd",
        "MemTotal": psutil.virtual_memory().total,
        "NCPU": psutil.cpu_count(),
        "CPUShares": True,
        "CpuCfsQuota": True,
        "MemoryLimit": True,
        "PidsLimit": True,
        "DockerRootDir": "/",
        "SecurityOptions": ["name=seccomp,profile=default"],
        "SystemTime": f"{datetime.now(timezone.utc).isoformat(timespec='microseconds')[:-6]}Z",
    }


class FakeEngineProvider(FakeLoadingProvider):
    """A provider with an engine, which is recognized and judged as kind's is.

    Attributes:
        info: what the engine says about itself.
        version: its answer to `docker version`.
        host: its address.
        subnets: the subnets of its networks.
        objects: what stacks created.
        outputs: what a script prints on the node, by a part of the script; None if it fails.
    """

    def __init__(self) -> None:
        super().__init__()
        self.info = info_of_this_machine()
        self.version: dict[str, Any] = {}
        self.host = "unix:///var/run/docker.sock"
        self.subnets: dict[str, list[str]] = {"bridge": ["172.17.0.0/16"]}
        self.objects: list[EngineObject] = []
        self.outputs: dict[str, str | None] = {
            "df ": f"{100 * GIB}\n",
            "inotify": "max_user_instances:1024\nmax_user_watches:524288\n",
            "/dev/udp": "2a2a81800001000100000000",
            "environ": "PATH=/usr/bin\n",
        }

    def become(self, recorded: str, **changed: Any) -> None:
        """Become an engine that was recorded, with some fields changed."""
        made = json.loads((RECORDED / f"{recorded}.json").read_text())
        self.info = {**made["info"], **changed}
        self.version, self.host = made["version"], made["host"]

    def check(self, spec: ClusterSpec) -> list[Problem]:
        """Return what is wrong with the engine."""
        found = super().check(spec)
        if problem := self.engine_address_problem():
            return [problem]
        faults = engine_faults(self._product, self.info, podman=False)
        snap = snap_fault(self._product, Path("/home/me/.local/state/devstack/mine"))
        return [*found, *(_problem(each) for each in (*faults, snap) if each)]

    def engine_address_problem(self) -> Problem | None:
        """Return why the address cannot be used."""
        fault = remote_fault(self.host)
        return _problem(fault) if fault else None

    def describe_engine(self) -> EngineDescription:
        """Return what was set."""
        local = is_plainly_local(self._product, self.info, self.host)
        missing = missing_controllers(self._product, self.info)
        return EngineDescription(
            self.info, self._product.name, local, missing, uses_cgroup_v1(self.info)
        )

    @property
    def _product(self) -> Product:
        return recognize(self.info, self.version)

    def engine_subnets(self) -> dict[str, list[str]]:
        """Return what was set."""
        return self.subnets

    def engine_objects(self) -> list[EngineObject]:
        """Return what was set."""
        return self.objects

    def run_on_nodes(self, spec: ClusterSpec, script: str, timeout: float) -> dict[str, str | None]:
        """Return the output that was set for the script, on the only node."""
        for part, output in self.outputs.items():
            if part in script:
                return {"mine-control-plane": output}
        raise AssertionError(f"no output for {script}")


def _problem(fault: Fault) -> Problem:
    return Problem(fault.message, fault.remedy, fault.code)
