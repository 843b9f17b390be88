"""CPU time and memory inside a kind node, by container and by the node's own programs.

Memory is the proportional set size: what several processes share counts once.  CPU time
is that of the processes themselves, so that it includes the node's containerd and kubelet.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

_TICKS_PER_SECOND = 100.0
_KIB_PER_MIB = 1024.0
_CONTAINER = re.compile(r"[0-9a-f]{64}")

_PROCESSES = """\
for process in /proc/[0-9]*; do
  read -r statistics <$process/stat || continue
  memory=$(sed -n 's/^Pss: *\\([0-9]*\\).*/\\1/p' $process/smaps_rollup)
  cgroup=$(sed -n '/pids:\\|^0::/{p;q}' $process/cgroup)
  echo "${memory:-0} ${cgroup##*/} $statistics"
done 2>/dev/null"""


@dataclass(frozen=True)
class Usage:
    """What a container or a program of the node uses.

    Attributes:
        cores: CPU seconds per second.
        mebibytes: proportional set size.
    """

    cores: float
    mebibytes: float


@dataclass(frozen=True)
class _Process:
    owner: str
    cpu_seconds: float
    mebibytes: float


def measure(node: str, containers: Mapping[str, str], seconds: float) -> dict[str, Usage]:
    """Return the usage of each container and program during ``seconds``, largest first.

    Args:
        node: the node container's name.
        containers: names by container ID.
        seconds: how long to measure CPU time.
    """
    before, began = _processes(node, containers), time.monotonic()
    time.sleep(seconds)
    after, elapsed = _processes(node, containers), time.monotonic() - began
    cores: dict[str, float] = defaultdict(float)
    memory: dict[str, float] = defaultdict(float)
    for process_id, process in after.items():
        memory[process.owner] += process.mebibytes
        if process_id in before:
            spent = process.cpu_seconds - before[process_id].cpu_seconds
            cores[process.owner] += spent / elapsed
    owners = sorted(memory, key=lambda owner: -memory[owner])
    return {owner: Usage(cores[owner], memory[owner]) for owner in owners}


def container_names(pods: str) -> dict[str, str]:
    """Return "pod/container" by container ID.

    Args:
        pods: what `kubectl get pods -A -o json` prints.
    """
    return {
        status["containerID"].rpartition("/")[2]: f"{pod['metadata']['name']}/{status['name']}"
        for pod in json.loads(pods)["items"]
        for status in pod["status"].get("containerStatuses", [])
        if status.get("containerID")
    }


def _processes(node: str, containers: Mapping[str, str]) -> dict[str, _Process]:
    argv = ["docker", "exec", node, "bash", "-c", _PROCESSES]
    listing = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    found = {}
    for line in listing.splitlines():
        memory, cgroup, statistics = line.split(" ", 2)
        process_id, _, rest = statistics.partition(" (")
        program, _, fields = rest.rpartition(") ")
        user, system = fields.split()[11:13]
        container = _CONTAINER.search(cgroup)
        owner = containers.get(container.group(), program) if container else program
        cpu_seconds = (int(user) + int(system)) / _TICKS_PER_SECOND
        found[process_id] = _Process(owner, cpu_seconds, int(memory) / _KIB_PER_MIB)
    return found
