"""Times devstack against its budgets, with kind itself as the peer in the same run.

Absolute times on a shared machine drift; the table therefore shows what kind
alone took in the same minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from devstack import tools
from devstack.docker.engine import Engine
from devstack.images import ImageStore
from devstack.process import SubprocessRunner
from devstack.progress import Silent
from devstack.providers.base import ClusterSpec
from devstack.providers.kind.config import build_config

PEER = "devstack-bench-peer"
"""The cluster that kind makes by itself, and its network."""
STACK = "bench"
LEAN = ("--without", "airflow", "--without", "metadata", "--without", "postgres")
"""Leaves out Airflow, whose start `scripts/bench airflow` measures."""


@dataclass(frozen=True)
class Figure:
    """A measurement: what, seconds, and the budget in seconds where there is one."""

    what: str
    seconds: float
    budget: float | None = None
    note: str = ""

    @property
    def kept(self) -> bool:
        """True where the budget is kept, or there is none."""
        return self.budget is None or self.seconds <= self.budget


def main() -> int:
    """Measure, print a table, write JSON; 1 where a budget is not kept."""
    arguments = _parse()
    devstack = Devstack()
    figures = list(measure(devstack, arguments.runs))
    samples = [] if arguments.skip_samples else measure_samples(devstack)
    devstack.run("down")
    _print(figures, samples)
    report = {"figures": [asdict(each) for each in figures], "samples": samples}
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if all(figure.kept for figure in figures) else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--runs", type=int, default=3, help="cluster starts to take the median of")
    parser.add_argument("--skip-samples", action="store_true", help="do not run the sample flows")
    return parser.parse_args()


class Devstack:
    """The command under test, as a user runs it."""

    def run(self, *argv: str, check: bool = True) -> tuple[float, dict[str, Any]]:
        """Run ``devstack``; return the seconds it took and its JSON data."""
        command = [sys.executable, "-m", "devstack", *argv, "--json", "--name", STACK]
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - began
        if check and done.returncode != 0:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
        return seconds, json.loads(done.stdout)["data"]

    def time(self, *argv: str, runs: int = 7) -> float:
        """Return the median seconds of a command that prints text."""
        command = [sys.executable, "-m", "devstack", *argv]
        return statistics.median(_timed(command) for _ in range(runs))


def measure(devstack: Devstack, runs: int) -> list[Figure]:
    """Time kind alone and the stack, in turn, then the quick commands."""
    devstack.run("down")
    kind_up, kind_down, ups, downs = [], [], [], []
    for _turn in range(runs):
        created, deleted = kind_alone()
        kind_up.append(created)
        kind_down.append(deleted)
        ups.append(devstack.run("up", *LEAN)[0])
        downs.append(devstack.run("down")[0])
    alone, up = statistics.median(kind_up), statistics.median(ups)
    whole, _ = devstack.run("up")
    noop = statistics.median(devstack.run("up")[0] for _ in range(7))
    status = devstack.time("status", "--name", STACK)
    help_seconds = devstack.time("--help")
    return [
        Figure("kind create cluster (peer)", alone, note="until the node is Ready"),
        Figure("devstack up without Airflow, warm", up),
        Figure("devstack up beyond kind", up - alone, 12.0),
        Figure("devstack up with all services", whole),
        Figure("devstack up, nothing to do", noop, 0.7),
        Figure("devstack --help", help_seconds, 0.15),
        Figure("devstack status", status, 0.4),
        Figure("kind delete cluster (peer)", statistics.median(kind_down)),
        Figure("devstack down", statistics.median(downs), 5.0),
    ]


def measure_samples(devstack: Devstack) -> list[dict[str, Any]]:
    """Run every sample flow on the stack; return their times."""
    _, data = devstack.run("run", check=False)
    return list(data["samples"])


def kind_alone() -> tuple[float, float]:
    """Return the seconds that kind itself takes to make its cluster, and to delete it."""
    runner = SubprocessRunner()
    kind = str(tools.find_kind(runner, Silent()))
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
    """Time kind's own removal; where it fails on a frozen process, devstack's takes over."""
    began = time.monotonic()
    try:
        return _timed(delete, network)
    except subprocess.CalledProcessError as failed:
        sys.stderr.write(f"kind could not delete its cluster: {failed.stderr}\n")
        engine = Engine(SubprocessRunner())
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


def _print(figures: list[Figure], samples: list[dict[str, Any]]) -> None:
    console = Console(width=100, highlight=False)
    table = Table("what", "seconds", "budget", "", title="devstack and kind, same run")
    for figure in figures:
        budget = "" if figure.budget is None else f"{figure.budget:.2f}"
        verdict = "" if figure.budget is None else "kept" if figure.kept else "MISSED"
        table.add_row(figure.what, f"{figure.seconds:.2f}", budget, figure.note or verdict)
    console.print(table)
    if samples:
        flows = Table("sample", "result", "seconds", "Metaflow's own", title="sample flows")
        for each in samples:
            own = f"{each['overhead_seconds']:.1f}"
            flows.add_row(each["name"], each["result"], f"{each['seconds']:.1f}", own)
        console.print(flows)


if __name__ == "__main__":
    sys.exit(main())
