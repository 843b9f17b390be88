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

from devstack.pools.nodes import NodeSpec
from devstack.state import StackDir

FOLDER = "node-sizes"
"""Its name in the stack's directory."""


def size_folder(node: NodeSpec) -> str:
    """Return the folder of a node's size, relative to the stack's directory."""
    return f"{FOLDER}/{node.cpu}cpu-{node.memory}"


def write_size(stack: StackDir, node: NodeSpec) -> Path:
    """Write the files of a node's size into the stack's directory; return their folder."""
    name = size_folder(node)
    folder = stack.path / name
    for cpu in range(node.cpu):
        (folder / "cpu" / f"cpu{cpu}").mkdir(parents=True, exist_ok=True)
    (folder / "node").mkdir(exist_ok=True)
    for file in ("online", "possible", "present"):
        stack.write_file(f"{name}/cpu/{file}", f"0-{node.cpu - 1}\n")
    stack.write_file(f"{name}/meminfo", meminfo(node.memory))
    return folder


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
    return "".join(f"{name + ':':<16}{value:>9} kB\n" for name, value in lines.items())


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
