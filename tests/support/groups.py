"""Test groups are the folders below tests/: run in order, with the time of each printed.

With two workers (`-n 2 --dist loadscope`) two groups run side by side, each on a stack of
its own.  scripts/test does so with the two longest; those that take times, or all of the
machine, it runs alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

ORDER = ("unit", "golden", "images", "conformance", "providers", "load", "e2e", "airflow")
"""Cheapest first, so that a plain mistake is known within seconds."""


def group_of(nodeid: str) -> str:
    """Return the group of a test, such as "unit" for tests/unit/test_ports.py::test_x."""
    folders = PurePosixPath(nodeid.partition("::")[0]).parent.parts
    return next((folder for folder in folders if folder in ORDER), "other")


def _rank(item: pytest.Item) -> int:
    group = group_of(item.nodeid)
    return ORDER.index(group) if group in ORDER else len(ORDER)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the groups in order; within a group all stays as it was."""
    items.sort(key=_rank)


class Lanes(LoadScopeScheduling):
    """Gives each worker one group at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    """Have groups instead of the files that ``--dist loadscope`` goes by."""
    return Lanes(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many tests each group ran and how long they took."""
    reports = [
        report
        for outcome in terminalreporter.stats.values()
        for report in outcome
        if isinstance(report, pytest.TestReport)
    ]
    if reports:
        terminalreporter.section("time by group")
        for line in time_table(reports):
            terminalreporter.write_line(line)


def time_table(reports: Iterable[pytest.TestReport]) -> list[str]:
    """Return a line for each group: its name, its tests and their seconds in all."""
    tests: dict[str, set[str]] = defaultdict(set)
    seconds: dict[str, float] = defaultdict(float)
    for report in reports:
        group = group_of(report.nodeid)
        tests[group].add(report.nodeid)
        seconds[group] += report.duration
    return [
        f"{group:<10} {len(tests[group]):>4} tests {seconds[group]:>8.1f} s"
        for group in (*ORDER, "other")
        if group in tests
    ]
