"""A provider whose nodes are containers of an engine that says of itself what a test sets."""

from __future__ import annotations

import platform
from datetime import datetime, timezone
from typing import Any

import psutil

from devstack.providers.base import ClusterSpec, EngineObject
from tests.fakes.stack import FakeLoadingProvider

GIB = 1024**3

# What `docker info` reports on these, reduced to the fields that checks read.
DOCKER_DESKTOP = {
    "ServerVersion": "28.5.1",
    "OperatingSystem": "Docker Desktop",
    "Name": "docker-desktop",
    "OSType": "linux",
    "Architecture": "aarch64",
    "KernelVersion": "6.10.14-linuxkit",
    "CgroupVersion": "2",
    "CgroupDriver": "cgroupfs",
    "MemTotal": 8218034176,
    "NCPU": 10,
    "DockerRootDir": "/var/lib/docker",
    "SecurityOptions": ["name=seccomp,profile=unconfined", "name=cgroupns"],
    "HttpsProxy": "http.docker.internal:3128",
}
COLIMA = {
    "ServerVersion": "28.4.0",
    "OperatingSystem": "Ubuntu 24.04.3 LTS",
    "Name": "colima",
    "OSType": "linux",
    "Architecture": "aarch64",
    "KernelVersion": "6.8.0-64-generic",
    "CgroupVersion": "2",
    "CgroupDriver": "cgroupfs",
    "MemTotal": 2063138816,
    "NCPU": 2,
    "DockerRootDir": "/var/lib/docker",
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
}
ROOTLESS = {
    "ServerVersion": "27.5.1",
    "OperatingSystem": "Ubuntu 22.04.5 LTS",
    "Name": "laptop",
    "OSType": "linux",
    "Architecture": "x86_64",
    "KernelVersion": "5.15.0-139-generic",
    "CgroupVersion": "2",
    "CgroupDriver": "systemd",
    "MemTotal": 16 * GIB,
    "NCPU": 8,
    "CpuCfsQuota": True,
    "MemoryLimit": True,
    "PidsLimit": True,
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"],
}


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
        "CpuCfsQuota": True,
        "MemoryLimit": True,
        "PidsLimit": True,
        "DockerRootDir": "/",
        "SecurityOptions": ["name=seccomp,profile=default"],
        "SystemTime": f"{datetime.now(timezone.utc).isoformat(timespec='microseconds')[:-6]}Z",
    }


class FakeEngineProvider(FakeLoadingProvider):
    """A provider with an engine.

    Attributes:
        info: what the engine says about itself.
        address: its URL.
        subnets: the subnets of its networks.
        objects: what stacks created.
        outputs: what a script prints on the node, by a part of the script.
    """

    def __init__(self) -> None:
        super().__init__()
        self.info = info_of_this_machine()
        self.address = "http+docker://localhost"
        self.subnets: dict[str, list[str]] = {"bridge": ["172.17.0.0/16"]}
        self.objects: list[EngineObject] = []
        self.outputs = {
            "df ": f"{100 * GIB}\n",
            "inotify": "max_user_instances:1024\nmax_user_watches:524288\n",
            "/dev/udp": "2a2a81800001000100000000",
            "environ": "PATH=/usr/bin\n",
        }

    def engine_info(self) -> dict[str, Any]:
        """Return what was set."""
        return self.info

    def engine_address(self) -> str:
        """Return what was set."""
        return self.address

    def engine_subnets(self) -> dict[str, list[str]]:
        """Return what was set."""
        return self.subnets

    def engine_objects(self) -> list[EngineObject]:
        """Return what was set."""
        return self.objects

    def run_on_nodes(self, spec: ClusterSpec, script: str, timeout: float) -> dict[str, str]:
        """Return the output that was set for the script, on the only node."""
        for part, output in self.outputs.items():
            if part in script:
                return {"mine-control-plane": output}
        raise AssertionError(f"no output for {script}")
