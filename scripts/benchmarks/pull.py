"""Measures `up` on an engine without images, with `docker pull` and kind in the same run.

Both pull from one registry on loopback, each into an engine of its own that has nothing yet, in
namespaces of its own. The peer pulls the same images one after the other and creates a cluster.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from devstack import tools
from devstack.images.upstream import load_upstream
from devstack.process import SubprocessRunner
from devstack.progress import Silent
from devstack.providers.base import ClusterSpec
from devstack.providers.kind.cli import KIND
from devstack.providers.kind.config import build_config
from scripts.benchmarks.figures import Figure, parse_arguments, report
from tests.containers.upstream.references import NODE_TABLE, published
from tests.containers.upstream.registry_data import ensure_registry_data
from tests.pull.published import Internet, internet

WHOLE = ("--with", "airflow", "--with", "metadata", "--with", "postgres")
PEER = "peer"
BUDGET = 25.0


def main() -> int:
    """Measure, print tables, write JSON; 1 if a budget is missed."""
    arguments = parse_arguments(__doc__)
    images = ensure_registry_data()
    with tempfile.TemporaryDirectory() as folder:
        runs = [_measure(Path(folder) / str(run), images) for run in range(arguments.runs)]
    return report(list(_figures(runs)), "up without images", arguments.json)


def _figures(runs: list[dict[str, float]]) -> Iterator[Figure]:
    median = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    beyond = statistics.median(run["up"] - run["pulls"] - run["kind"] for run in runs)
    yield Figure("docker pull of all images", "s", median["pulls"])
    yield Figure("kind create cluster", "s", median["kind"])
    yield Figure("up with all services", "s", median["up"], peer=median["pulls"] + median["kind"])
    yield Figure("up with all services, beyond both", "s", beyond, BUDGET)
    yield Figure("up again with its images", "s", median["second"])


def _measure(folder: Path, images: Path) -> dict[str, float]:
    """Time the peer and `up`, each with an engine of its own."""
    with internet(folder / "peer", images) as machine:
        pulls = _pull_all(machine)
        kind = _create_cluster(machine, folder)
    with internet(folder / "devstack", images) as machine:
        stack = machine.devstack("bench", folder / "home")
        began = time.monotonic()
        done = stack.run("up", "--images", "pull", *WHOLE, timeout=1800)
        up = time.monotonic() - began
        sys.stderr.write(done.stderr)
        stack.run("down")
        began = time.monotonic()
        stack.run("up", timeout=1800)
        second = time.monotonic() - began
        stack.run("down")
    return {"pulls": pulls, "kind": kind, "up": up, "second": second}


def _pull_all(machine: Internet) -> float:
    upstream = load_upstream(str(machine.images))
    began = time.monotonic()
    for name in published():
        if name != "registry":
            machine.engine.run("docker", "pull", "--quiet", upstream[name].pinned)
    return time.monotonic() - began


def _create_cluster(machine: Internet, folder: Path) -> float:
    """Time kind's cluster with the same settings as a stack's."""
    kind = str(tools.ensure_tool(KIND, SubprocessRunner(), Silent()))
    image = load_upstream(str(machine.images))[NODE_TABLE].pinned
    argv = [kind, "create", "cluster", "--name", PEER, "--image", image, "--wait", "5m"]
    argv += ["--config", "-", "--kubeconfig", str(folder / "kubeconfig")]
    config = build_config(ClusterSpec(name=PEER), api_port=0)
    began = time.monotonic()
    subprocess.run(machine.engine.inside(*argv), input=config, text=True, check=True)
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
