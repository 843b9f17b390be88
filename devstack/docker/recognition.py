"""Which product an engine is, from what it says of itself, and what does not work with it.

The facts behind each product, and what was tested, are in docs/machines.md.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from devstack.docker.cgroup import uses_cgroup_v1

Description = Mapping[str, Any]
"""What `docker info` or `docker version` shows of an engine, as in Docker's API."""

OLDEST_DOCKER = (20, 10)
OLDEST_PODMAN = (4, 0)

CONTROLLERS = "CgroupControllers"
"""What the client adds to a description of Podman: the controllers that it may use."""

_LIMITS = {"CPUShares": "cpu", "CpuCfsQuota": "cpu", "MemoryLimit": "memory", "PidsLimit": "pids"}

_OF_CONTAINERS = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""Files that Docker and Podman create in each container."""

_LOCAL_SCHEMES = ("unix", "npipe")
_SNAP_ROOT = "/var/snap/docker/"


@dataclass(frozen=True)
class Product:
    """An engine, and how it reaches this machine's folders.

    Attributes:
        name: "Docker Engine", "Docker Desktop", "Podman" and so on.
        version: the engine's version, such as "29.4.3"; not that of a desktop application.
        in_vm: True if it runs in a virtual machine, which shares only some folders.
        rootless: True if it runs as a user, without root.
        snap: True if it is Snap's Docker, which is confined to some folders.
        wsl: True if its kernel is that of the Windows Subsystem for Linux.
    """

    name: str
    version: str
    in_vm: bool = False
    rootless: bool = False
    snap: bool = False
    wsl: bool = False

    @property
    def title(self) -> str:
        """Return its name with its version, such as "rootless Docker Engine 29.4.3"."""
        kind = "rootless " if self.rootless else ""
        return f"{kind}{self.name} {self.version}".strip()


@dataclass(frozen=True)
class Fault:
    """Why an engine cannot run nodes.

    Attributes:
        message: the cause.
        remedy: the next step.
        code: the error's code.
    """

    message: str
    remedy: str
    code: str


def recognize(info: Description, version: Description) -> Product:
    """Return which product an engine is.

    Args:
        info: Docker's ``GET /info``.
        version: Docker's ``GET /version``.
    """
    name = _product_name(info, version)
    kernel = str(info.get("KernelVersion", ""))
    return Product(
        name,
        str(info.get("ServerVersion") or version.get("Version", "")),
        in_vm=name in _IN_VM,
        rootless=any("name=rootless" in each for each in info.get("SecurityOptions") or ()),
        snap=str(info.get("DockerRootDir", "")).startswith(_SNAP_ROOT),
        wsl="microsoft" in kernel.lower(),
    )


_IN_VM = ("Docker Desktop", "Colima", "Rancher Desktop", "OrbStack", "Lima")


def _product_name(info: Description, version: Description) -> str:
    components = [str(each.get("Name", "")) for each in version.get("Components") or ()]
    system, host = str(info.get("OperatingSystem", "")), str(info.get("Name", ""))
    kernel = str(info.get("KernelVersion", ""))
    if "Podman Engine" in components or "BuildahVersion" in info:
        return "Podman"
    if system.startswith("Docker Desktop") or host == "docker-desktop":
        return "Docker Desktop"
    if system.startswith("OrbStack") or "orbstack" in kernel:
        return "OrbStack"
    if system.startswith("Rancher Desktop") or host.endswith("rancher-desktop"):
        return "Rancher Desktop"
    if host == "colima" or host.startswith(("colima-", "lima-colima")):
        return "Colima"
    return "Lima" if host.startswith("lima-") else "Docker Engine"


def engine_faults(product: Product, info: Description, *, podman: bool) -> list[Fault]:
    """Return why an engine cannot run nodes; empty if it can.

    Args:
        product: which it is.
        info: Docker's ``GET /info``.
        podman: True if Podman is the engine that the stack is to use.
    """
    if wrong := _wrong_engine(product, podman=podman):
        return [wrong]
    found = [_too_old(product), _windows(info), _rootless(product, info)]
    return [fault for fault in found if fault]


def _wrong_engine(product: Product, *, podman: bool) -> Fault | None:
    if podman or product.name != "Podman":
        return None
    return Fault(
        f"Docker's socket belongs to Podman {product.version}, whose emulation kind cannot use",
        "devstack up --engine podman uses Podman by itself",
        "ENGINE_IS_PODMAN",
    )


def _too_old(product: Product) -> Fault | None:
    found = re.match(r"(\d+)\.(\d+)", product.version)
    oldest = OLDEST_PODMAN if product.name == "Podman" else OLDEST_DOCKER
    if found is None or (int(found[1]), int(found[2])) >= oldest:
        return None
    program = "Podman" if product.name == "Podman" else "Docker"
    needed = f"{oldest[0]}.{oldest[1]:02}" if program == "Docker" else f"{oldest[0]}.{oldest[1]}"
    return Fault(
        f"{product.title} is too old: devstack needs {program} {needed} or later",
        f"update {product.name}",
        "ENGINE_OLD",
    )


def _windows(info: Description) -> Fault | None:
    if info.get("OSType", "linux") == "linux":
        return None
    return Fault(
        f"the engine runs {info['OSType']} containers; Kubernetes nodes are Linux containers",
        "choose `Switch to Linux containers` in the menu of Docker Desktop",
        "ENGINE_UNSUITABLE",
    )


def missing_controllers(product: Product, info: Description) -> list[str]:
    """Return the cgroup controllers that nodes need and an engine may not use.

    Podman derives the values for CPUs in Docker's API from files of cgroup v1; on v2, where they
    do not exist, both are false (source: ``checkCgroupCPU`` in containers/common's pkg/sysinfo).
    kind therefore asks ``podman info``, and so does the client.

    Args:
        product: which engine it is.
        info: Docker's ``GET /info``, for Podman with CONTROLLERS.
    """
    needed = ("cpu", "memory", "pids")
    if CONTROLLERS in info:
        return [name for name in needed if name not in info[CONTROLLERS]]
    missing = {name for key, name in _LIMITS.items() if info.get(key) is False}
    return [
        name for name in needed if name in missing and (name, product.name) != ("cpu", "Podman")
    ]


def _rootless(product: Product, info: Description) -> Fault | None:
    """Return what a rootless engine lacks.

    Source: kind's "Rootless", and ``validateProvider`` in its pkg/cluster/internal/create.
    """
    if not product.rootless:
        return None
    if uses_cgroup_v1(info):
        return Fault(
            f"{product.title} on cgroup v1 cannot limit containers, so it cannot run nodes",
            "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1), or use the engine as root",
            "CGROUP_UNUSABLE",
        )
    missing = missing_controllers(product, info)
    if not missing:
        return None
    return Fault(
        f"{product.title} may not use the cgroup controllers {', '.join(missing)}",
        "let systemd delegate them: create /etc/systemd/system/user@.service.d/delegate.conf with "
        "[Service] and Delegate=yes, then systemctl daemon-reload, and log in again",
        "CGROUP_UNUSABLE",
    )


def remote_fault(host: str) -> Fault | None:
    """Return why an engine at an address cannot be used; None if it is on this machine.

    Nodes publish their ports on the loopback interface of the machine that runs them, and mount
    files of the stack's directory. Over TCP an engine may be local, or at the other end of a
    tunnel: then a folder that a container mounts tells (`devstack.docker.folders`).

    Args:
        host: such as ``unix:///var/run/docker.sock`` or ``tcp://10.0.0.5:2376``.
    """
    address = urlsplit(host if "://" in host else f"tcp://{host}")
    if not host or address.scheme in _LOCAL_SCHEMES:
        return None
    if address.scheme != "ssh" and _is_this_machine(address.hostname or ""):
        return None
    return Fault(
        f"the engine at {host} is on another machine: its containers cannot mount this machine's "
        "files, and ports that they publish on loopback are the other machine's",
        "run devstack on that machine, or select an engine on this one: unset DOCKER_HOST, "
        "`docker context use default`, or --engine podman",
        "ENGINE_REMOTE",
    )


def _is_this_machine(name: str) -> bool:
    """Return True if all addresses of a host are this machine's."""
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(name, None)}
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(_is_own(address) for address in found)


def _is_own(address: str) -> bool:
    if ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        return True
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        # Only an address of this machine can be bound.
        with socket.socket(family, socket.SOCK_STREAM) as bound:
            bound.bind((address, 0))
    except OSError:
        return False
    return True


def snap_fault(product: Product, folder: Path) -> Fault | None:
    """Return why Snap's Docker cannot mount a folder: it is hidden, or not below a home.

    Source: the snap's ``home`` interface, which excludes hidden files in the home folder.

    Args:
        product: the engine.
        folder: the folder, absolute.
    """
    if not product.snap:
        return None
    parts = PurePosixPath(folder).parts
    below_home = parts[1:2] in (("home",), ("root",))
    # Only the part directly below the home folder counts: ~/.local, ~/.cache.
    first = parts[3:4] if parts[1:2] == ("home",) else parts[2:3]
    if below_home and not (first and first[0].startswith(".")):
        return None
    return Fault(
        f"Docker is a snap, which cannot mount hidden folders such as {folder}",
        "export DEVSTACK_HOME=$HOME/devstack, and unset DEVSTACK_CACHE; or install Docker from "
        "your distribution or docker.com instead of the snap",
        "ENGINE_FOLDER",
    )


def is_plainly_local(product: Product, info: Description, host: str) -> bool:
    """Return True if an engine certainly has this machine's kernel and name.

    Otherwise it may be in a virtual machine, at the other end of a tunnel, or outside of the
    container that this process is in.
    """
    system = os.uname()
    return (
        host.startswith("unix://")
        and not product.in_vm
        and not product.snap
        and info.get("KernelVersion") == system.release
        and info.get("Name") == system.nodename
    )


def sees_the_same_files(product: Product, info: Description, host: str) -> bool:
    """Return True if an engine certainly sees this process's files; else a mount has to tell.

    A container that uses the machine's network has its kernel and its name, but other files.
    """
    return is_plainly_local(product, info, host) and not any(
        file.exists() for file in _OF_CONTAINERS
    )
