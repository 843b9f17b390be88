"""Nodes that offer other CPUs and other memory than the machine has.

The kubelet takes its node's capacity from cAdvisor, which reads CPUs from
``/sys/devices/system/node/node*/cpu*``, or else ``/sys/devices/system/cpu/cpu*``, and memory
from ``MemTotal`` in ``/proc/meminfo`` (cadvisor: ``utils/sysfs``, ``machine/machine.go``). A
node's container has files of the stack mounted there, as LXCFS does it. Containers of pods have
mounts of their own, so they see the machine.

The CPUs are empty folders: with a topology, the kubelet would write a CPU set that the kernel
rejects.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from devstack.paths import private_folder
from devstack.pools.nodes import NodeSpec

_CPU_LISTS = ("online", "possible", "present")


def write_size(folder: Path, node: NodeSpec) -> bool:
    """Write the files of a node's size; return True if that changed anything.

    Args:
        folder: of this node alone.
        node: what it is to offer.
    """
    cpus = {f"cpu{index}" for index in range(node.cpu)}
    existing = {each.name for each in (folder / "cpu").glob("cpu[0-9]*")}
    for needed in (folder, folder / "node", folder / "cpu"):
        private_folder(needed)
    for cpu in cpus - existing:
        (folder / "cpu" / cpu).mkdir(mode=0o700)
    for cpu in existing - cpus:
        (folder / "cpu" / cpu).rmdir()
    online = f"0-{node.cpu - 1}\n"
    written = [write_in_place(folder / "cpu" / name, online) for name in _CPU_LISTS]
    written.append(write_in_place(folder / "meminfo", meminfo(node.memory)))
    return cpus != existing or any(written)


def has_size(folder: Path, node: NodeSpec) -> bool:
    """Return True if :func:`write_size` would change nothing."""
    files = [(folder / "cpu" / name, f"0-{node.cpu - 1}\n") for name in _CPU_LISTS]
    files.append((folder / "meminfo", meminfo(node.memory)))
    return all(file.is_file() and file.read_text() == text for file, text in files)


def meminfo(memory: int) -> str:
    """Return the text of /proc/meminfo for a number of bytes."""
    total = memory // 1024
    lines = {
        "MemTotal": total,
        "MemFree": total,
        "MemAvailable": total,
        "SwapTotal": 0,
        "SwapFree": 0,
    }
    return "".join(f"{name + ':':<16}{value:>12} kB\n" for name, value in lines.items())


def size_mounts(folder: Path) -> list[dict[str, Any]]:
    """Return kind's mounts of a size's files into a node."""
    targets = {
        "meminfo": "/proc/meminfo",
        "node": "/sys/devices/system/node",
        "cpu": "/sys/devices/system/cpu",
    }
    return [
        {"hostPath": str(folder / file), "containerPath": target, "readOnly": True}
        for file, target in targets.items()
    ]


def write_in_place(file: Path, text: str) -> bool:
    """Write a file of mode 0600 that keeps its inode; return True if that changed it."""
    if file.is_file() and file.read_text() == text:
        return False
    file.touch(mode=0o600)
    with file.open("r+") as opened:
        # If this process is killed before the end, spaces are left, and no part of the old text.
        opened.write(text.ljust(file.stat().st_size))
        opened.flush()
        opened.truncate(len(text))
    return True
