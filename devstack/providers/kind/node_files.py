"""The files of the stack's directory that a node has mounted: its size, disk and real limit.

Each node has a folder of its own. Its files are rewritten in place, since a mount of a file
shows the file that was there when the container started: a kubelet that is restarted then
reads the new values.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from devstack.kube.namespaces import SERVICE_NAMESPACES
from devstack.paths import private_folder
from devstack.pools.nodes import NodeSpec
from devstack.providers.base import RealSize
from devstack.providers.kind.node_size import size_mounts, write_in_place, write_size
from devstack.state import StackDir

FOLDER = "nodes"
"""Its name in the stack's directory."""

_SPEC = "node.json"
_DROP_IN = "kubelet.conf"
_SCRIPT = "prepare-kubelet"
_SCRIPTS = (_SCRIPT, "limit-pods")
_MOUNTED = "/etc/devstack/node"
"""Where a node has its folder."""

# The last part of the name sorts it after those of node images.
_DROP_IN_PATH = "/etc/systemd/system/kubelet.service.d/90-devstack.conf"
# All pods of a node that offers 64 CPUs have the weight of 64.  With its default, that of one, the
# kubelet would be so slow beside busy pods that probes fail and the node becomes NotReady.
_DROP_IN_TEXT = f"""\
[Service]
CPUWeight=10000
# A failure is in the journal; the node then offers the machine's disk.
ExecStartPre=-/bin/bash {_MOUNTED}/{_SCRIPT}
"""


def node_folder(stack: StackDir, node: str) -> Path:
    """Return the folder of the files of the node of this name."""
    return stack.path / FOLDER / node


def write_node_files(folder: Path, node: NodeSpec, machine: RealSize) -> None:
    """Write the files of a node.

    Args:
        folder: of this node alone.
        node: what it is to offer.
        machine: the size of the machine that runs it.
    """
    private_folder(folder.parent)
    write_size(folder, node)
    _write_settings(folder, node, machine)
    write_in_place(folder / _DROP_IN, _DROP_IN_TEXT)
    for script in _SCRIPTS:
        write_in_place(folder / script, (Path(__file__).parent / script).read_text())
    write_in_place(folder / _SPEC, msgspec.json.encode(node).decode())


def limit_real_memory(stack: StackDir, nodes: Iterable[str], machine: RealSize) -> None:
    """Let the pods of nodes use what the machine has now; older nodes have no limit."""
    for name in nodes:
        folder = node_folder(stack, name)
        if spec := read_node_spec(folder):
            _write_settings(folder, spec, machine)


def _write_settings(folder: Path, node: NodeSpec, machine: RealSize) -> None:
    values = {
        "MEMORY_LIMIT": machine.memory_limit,
        "MEMORY_RESERVE": machine.memory - machine.memory_limit,
        "DISK": node.disk,
        "SERVICE_NAMESPACES": " ".join(SERVICE_NAMESPACES),
    }
    settings = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in values.items())
    write_in_place(folder / "settings", settings)


def read_node_spec(folder: Path) -> NodeSpec | None:
    """Return what a node was last specified to be; None for a node without such files."""
    try:
        return msgspec.json.decode((folder / _SPEC).read_bytes(), type=NodeSpec)
    except (OSError, msgspec.DecodeError):
        return None


def node_mounts(folder: Path) -> list[dict[str, Any]]:
    """Return kind's mounts of a node's files."""
    return [
        *size_mounts(folder),
        {"hostPath": str(folder), "containerPath": _MOUNTED, "readOnly": True},
        {"hostPath": str(folder / _DROP_IN), "containerPath": _DROP_IN_PATH, "readOnly": True},
    ]


def remove_node_files(stack: StackDir, node: str) -> None:
    """Remove the files of a node that no longer exists."""
    shutil.rmtree(node_folder(stack, node), ignore_errors=True)
