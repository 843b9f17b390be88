"""Graphs and values that no sample has run on the cluster, in one run."""

from __future__ import annotations

from pathlib import Path

from tests.support.commandline import Devstack

FLOW = str(Path(__file__).parent / "flows" / "graph.py")


def test_loops_conditions_configs_and_files_work_on_the_cluster(stack: Devstack) -> None:
    command = ("run", FLOW, "--", "--factor", "2", "--branch", "spring")
    done = stack.run(*command, timeout=900)
    assert "totals {'north': 6, 'south': 10} count 2 included True" in done.stdout
