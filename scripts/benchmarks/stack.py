"""Measures `up`, `down`, an idle stack and the quick commands, with kind itself in the same run.

Absolute times on a shared machine drift; the table therefore shows what kind
alone took in the same minutes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from devstack import tools
from devstack.docker.client import DockerClient
from devstack.images import ImageStore
from devstack.process import SubprocessRunner
from devstack.progress import Silent
from devstack.providers.base import ClusterSpec
from devstack.providers.kind.cli import KIND
from devstack.providers.kind.config import build_config
from scripts.benchmarks.figures import Figure, parse_arguments, report
from scripts.benchmarks.node_usage import Usage, container_names, measure
from scripts.benchmarks.timing import time_command
from tests.support.commandline import Devstack

PEER = "devstack-bench-peer"
"""The cluster that kind creates by itself, and its network."""
STACK = "bench"
NODE = f"devstack-{STACK}-control-plane"
LEAN = ("--without", "airflow", "--without", "metadata", "--without", "postgres")
"""Leaves out Airflow, whose start `scripts/bench airflow` measures."""
WHOLE = ("--with", "airflow", "--with", "metadata", "--with", "postgres")
IDLE_SECONDS = 60.0
TASKS = 100


def main() -> int:
    """Measure, print tables, write JSON; 1 if a budget is missed."""
    arguments = parse_arguments(__doc__, samples=True)
    with tempfile.TemporaryDirectory() as folder:
        stack = Devstack(STACK, Path(folder))
        try:
            figures = list(_measure_start(stack, arguments.runs))
            usage = _measure_idle(stack)
            samples = [] if arguments.skip_samples else _run_samples(stack)
            figures += [*_total(usage), _measure_down_after_tasks(stack)]
        finally:
            stack.run("down")
    _print_usage(usage)
    _print_samples(samples)
    per_container = {name: vars(each) for name, each in usage.items()}
    return report(
        figures,
        "devstack, and kind in the same run",
        arguments.json,
        idle=per_container,
        samples=samples,
    )


def _measure_start(stack: Devstack, runs: int) -> Iterator[Figure]:
    """Time kind alone and the stack, in turn, then the quick commands."""
    kind_up, kind_down, ups, downs = [], [], [], []
    for _ in range(runs):
        created, deleted = kind_alone()
        kind_up.append(created)
        kind_down.append(deleted)
        ups.append(time_command(stack, "up", *LEAN))
        downs.append(time_command(stack, "down"))
    alone, up = statistics.median(kind_up), statistics.median(ups)
    yield Figure("kind create cluster", "s", alone)
    yield Figure("up without Airflow", "s", up)
    yield Figure("up without Airflow, beyond kind", "s", up - alone, budget=6.0)
    yield Figure("down", "s", statistics.median(downs), 5.0, peer=statistics.median(kind_down))
    whole = time_command(stack, "up", *WHOLE)
    yield Figure("up with all services", "s", whole)
    yield Figure("up with all services, beyond kind", "s", whole - alone, budget=25.0)
    unchanged = statistics.median(time_command(stack, "up") for _ in range(7))
    yield Figure("up with nothing to do", "s", unchanged, 0.5)
    yield Figure(
        "--help", "s", statistics.median(time_command(stack, "--help") for _ in range(7)), 0.1
    )
    yield Figure(
        "status", "s", statistics.median(time_command(stack, "status") for _ in range(7)), 0.35
    )


def _measure_idle(stack: Devstack) -> dict[str, Usage]:
    """Return what each container and program of the node uses while nothing runs."""
    time.sleep(IDLE_SECONDS)
    pods = stack.admin_kubectl("get", "pods", "-A", "-ojson").stdout
    return measure(NODE, container_names(pods), IDLE_SECONDS)


def _total(usage: dict[str, Usage]) -> Iterator[Figure]:
    cores = sum(each.cores for each in usage.values())
    memory = sum(each.mebibytes for each in usage.values())
    yield Figure("idle, all services: CPU", "cores", cores, 0.2)
    yield Figure("idle, all services: memory", "MiB", memory, 1741.0)


def _measure_down_after_tasks(stack: Devstack) -> Figure:
    """Time `down` on a stack on which task pods of a foreach have run."""
    flow = Path(__file__).with_name("hundred_tasks.py")
    stack.run("run", "--local", str(flow), timeout=3600)
    return Figure(f"down after {TASKS} task pods", "s", time_command(stack, "down"), 5.0)


def _run_samples(stack: Devstack) -> list[dict[str, Any]]:
    """Run every sample flow on the stack; return their times."""
    envelope = stack.json("run", check=False, timeout=3600)
    return list(envelope["data"]["samples"])


def kind_alone() -> tuple[float, float]:
    """Return the seconds that kind itself takes to create its cluster, and to delete it."""
    runner = SubprocessRunner()
    kind = str(tools.ensure_tool(KIND, runner, Silent()))
    image = ImageStore(runner, Silent()).ensure(["node"])["node"]
    config = build_config(ClusterSpec(name="peer"), api_port=0)
    network = {"KIND_EXPERIMENTAL_DOCKER_NETWORK": PEER}
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = ["--kubeconfig", str(Path(folder) / "kubeconfig")]
        create = [kind, "create", "cluster", "--name", PEER, "--image", image]
        created = _timed([*create, "--config", "-", "--wait", "5m", *kubeconfig], network, config)
        delete = [kind, "delete", "cluster", "--name", PEER, *kubeconfig]
        deleted = _delete_timed(delete, network)
    network_rm = ["docker", "network", "rm", PEER]
    subprocess.run(network_rm, check=False, capture_output=True)
    return created, deleted


def _delete_timed(delete: list[str], network: dict[str, str]) -> float:
    """Time kind's own removal; if it fails on a frozen process, devstack removes the node."""
    began = time.monotonic()
    try:
        return _timed(delete, network)
    except subprocess.CalledProcessError as failed:
        sys.stderr.write(f"kind could not delete its cluster: {failed.stderr}\n")
        engine = DockerClient(SubprocessRunner())
        engine.remove(engine.nodes(PEER))
        return time.monotonic() - began


def _timed(
    command: list[str], environment: dict[str, str] | None = None, input: str | None = None
) -> float:
    began = time.monotonic()
    subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        input=input,
        env={**os.environ, **(environment or {})},
    )
    return time.monotonic() - began


def _print_usage(usage: dict[str, Usage]) -> None:
    table = Table("container or program", "millicores", "MiB", title="idle stack, all services")
    for name, each in usage.items():
        table.add_row(name, f"{each.cores * 1000:.1f}", f"{each.mebibytes:.0f}")
    Console(width=110, highlight=False).print(table)


def _print_samples(samples: list[dict[str, Any]]) -> None:
    if not samples:
        return
    table = Table("sample", "result", "seconds", "Metaflow's own", title="sample flows")
    for each in samples:
        own = f"{each['overhead_seconds']:.1f}"
        table.add_row(each["name"], each["result"], f"{each['seconds']:.1f}", own)
    Console(width=110, highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main())
