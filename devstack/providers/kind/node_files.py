"""The files of the stack's directory that a node has mounted: its size, disk and real limit.

Each node has a folder of its own. Its files are rewritten in place, since a mount of a file
shows the file that was there when the container started: a kubelet that is restarted then
reads the new values.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec

from devstack.paths import private_folder
from devstack.pools.nodes import NodeSpec
from devstack.providers.kind.node_size import size_mounts, write_in_place, write_size
from devstack.state import StackDir

FOLDER = "nodes"
"""Its name in the stack's directory."""

_SPEC = "node.json"
_DROP_IN = "kubelet.conf"
_SCRIPT = "prepare-kubelet"
_MOUNTED = "/etc/devstack/node"
"""Where a node has its folder."""

# The last part of the name sorts it after those of node images.
_DROP_IN_PATH = "/etc/systemd/system/kubelet.service.d/90-devstack.conf"
_DROP_IN_TEXT = f"""\
[Service]
# A failure is in the journal; the node then offers the machine's disk.
ExecStartPre=-/bin/bash {_MOUNTED}/{_SCRIPT}
"""


def node_folder(stack: StackDir, node: str) -> Path:
    """Return the folder of the files of the node of this name."""
    return stack.path / FOLDER / node


def write_node_files(folder: Path, node: NodeSpec, memory_limit: int) -> None:
    """Write the files of a node.

    Args:
        folder: of this node alone.
        node: what it is to offer.
        memory_limit: the bytes of real memory that its pods may use.
    """
    private_folder(folder.parent)
    write_size(folder, node)
    settings = f"MEMORY_LIMIT={memory_limit}\nDISK={node.disk}\n"
    write_in_place(folder / "settings", settings)
    write_in_place(folder / _DROP_IN, _DROP_IN_TEXT)
    write_in_place(folder / _SCRIPT, (Path(__file__).parent / _SCRIPT).read_text())
    write_in_place(folder / _SPEC, msgspec.json.encode(node).decode())


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
