"""Measures node pools: in a new stack, changed on a running one, interrupted, and at rest.

Every figure is of one run; the load of the machine is in the table, since it decides most.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.benchmarks.figures import Figure, parse_arguments, report
from scripts.benchmarks.node_usage import container_names, measure
from scripts.benchmarks.timing import time_command
from tests.support.commandline import Devstack

STACK = "bench"
LEAN = ("--without", "airflow", "--without", "metadata", "--without", "postgres")
REST_SECONDS = 30.0

CPU = "name=cpu,cpu=16,memory=64Gi"
GPU = "name=gpu,instance_type=p3.8xlarge,zones=us-east-1a"
SPOT = "name=spot,instance_type=g5.xlarge,spot=true"
THREE = (CPU, GPU, SPOT)
CHANGED = (
    "name=cpu,cpu=32,memory=128Gi",
    "name=gpu,instance_type=p3.8xlarge,zones=us-east-1a,disk=200Gi",
    "name=more,cpu=4,memory=8Gi,count=2",
)
"""Relative to THREE: one resized, one replaced, one removed, two added."""
NONE = ("name=control-plane",)
SPOT_NODE = f"devstack-{STACK}-spot-0"


def main() -> int:
    """Measure, print a table, write JSON; 1 if a budget is missed."""
    arguments = parse_arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        stack = Devstack(STACK, Path(folder))
        try:
            figures = [
                *_measure_start(stack, arguments.runs),
                *_measure_rest(stack),
                *_measure_nodes(stack),
                *_measure_changes(stack, arguments.runs),
                *_measure_quick_commands(stack),
            ]
        finally:
            stack.run("down")
    figures.append(Figure("load of the machine at the end", "", os.getloadavg()[0]))
    return report(figures, "node pools", arguments.json)


def _measure_start(stack: Devstack, runs: int) -> Iterator[Figure]:
    """Time `up` with one node and with three more, in turn; leave the latter up."""
    alone, pooled = [], []
    for _ in range(runs):
        alone.append(_up(stack))
        stack.run("down")
        pooled.append(_up(stack, *THREE))
        if len(pooled) < runs:
            stack.run("down")
    one, four = statistics.median(alone), statistics.median(pooled)
    yield Figure("up without Airflow", "s", one)
    yield Figure("three pools in the same `up`, beyond it", "s", four - one, 15.0)


def _measure_rest(stack: Devstack) -> Iterator[Figure]:
    """Return the memory and CPU time of a node of each pool while nothing runs."""
    time.sleep(REST_SECONDS)
    names = container_names(stack.admin_kubectl("get", "pods", "-A", "-ojson").stdout)
    nodes = [f"devstack-{STACK}-{pool}-0" for pool in ("cpu", "gpu", "spot")]
    usage = [measure(node, names, REST_SECONDS).values() for node in nodes]
    memory = [sum(each.mebibytes for each in node) for node in usage]
    cores = [sum(each.cores for each in node) for node in usage]
    yield Figure("a node of a pool at rest: memory", "MiB", max(memory), 110.0)
    yield Figure("a node of a pool at rest: CPU", "cores", max(cores))


def _measure_nodes(stack: Devstack) -> Iterator[Figure]:
    interrupted = time_command(stack, "node", "interrupt", SPOT_NODE, "--after", "0")
    restored = time_command(stack, "node", "restore", SPOT_NODE)
    yield Figure("a node interrupted and restored", "s", interrupted + restored, 20.0)


def _measure_changes(stack: Devstack, runs: int) -> Iterator[Figure]:
    """Change the pools of the running stack in turn; it has THREE before and after."""
    times: dict[str, list[float]] = {}
    for _ in range(runs):
        changes = {
            "a running stack: one pool resized": ("name=cpu,cpu=24,memory=64Gi", GPU, SPOT),
            "a running stack: five changes at once": CHANGED,
            "a running stack: all pools removed": NONE,
            "a running stack: three pools added": THREE,
        }
        for what, pools in changes.items():
            times.setdefault(what, []).append(_up(stack, *pools))
    for what, measured in times.items():
        yield Figure(what, "s", statistics.median(measured), 15.0)


def _measure_quick_commands(stack: Devstack) -> Iterator[Figure]:
    for what, argv, budget in (
        ("up with nothing to do, with pools", ("up",), 0.5),
        ("status, with pools", ("status",), 0.35),
    ):
        yield Figure(
            what, "s", statistics.median(time_command(stack, *argv) for _ in range(7)), budget
        )


def _up(stack: Devstack, *pools: str) -> float:
    return time_command(stack, "up", *LEAN, *(part for pool in pools for part in ("--pool", pool)))


if __name__ == "__main__":
    sys.exit(main())
