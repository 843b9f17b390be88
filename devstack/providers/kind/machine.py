"""What the machine that runs the nodes has, which all nodes share."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from typing import Any

from devstack.pools.instance_types import GIB
from devstack.providers.base import RealSize
from devstack.providers.kind.node_files import limit_real_memory
from devstack.state import StackDir

FILE = "machine.json"
"""Its name in the stack's directory: to ask Docker takes longer than `status` may take."""


RESERVE = GIB
RESERVED_SHARE = 8
"""Pods leave at least a GiB, or an eighth of the memory, to the rest of the machine: Docker,
containerd, the user's own programs."""


def build_real_size(info: Any) -> RealSize:
    """Return the size of the machine that an engine describes (`docker info`)."""
    memory = int(info["MemTotal"])
    limit = memory - max(RESERVE, memory // RESERVED_SHARE)
    return RealSize(int(info["NCPU"]), memory, limit, _free(info.get("DockerRootDir", "")))


def save_real_size(stack: StackDir, info: Any) -> RealSize:
    """Record the size of the machine in the stack's directory, and return it."""
    kept = {key: info.get(key, "") for key in ("MemTotal", "NCPU", "DockerRootDir")}
    stack.write_file(FILE, json.dumps(kept))
    return build_real_size(kept)


def saved_real_size(stack: StackDir) -> RealSize | None:
    """Return the recorded size, with the disk's free space as it is now; None if there is none."""
    try:
        return build_real_size(json.loads((stack.path / FILE).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def adapt_to_machine(stack: StackDir, nodes: Iterable[str], info: Any) -> None:
    """Let nodes that are about to start use what the machine has now, which may have changed."""
    limit_real_memory(stack, nodes, save_real_size(stack, info))


def _free(folder: str) -> int:
    """Return the bytes that are free where Docker keeps its files; 0 if that is elsewhere."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
