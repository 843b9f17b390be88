"""The test groups, which are folders below tests/, and how two workers share them.

scripts/test gives each worker one lane at a time (``-n 2 --dist loadscope``): the groups of a
lane run one after the other, on stacks of their own, beside those of another lane.  Lanes are
listed longest first, so that both workers end at about the same time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


@dataclass(frozen=True)
class Group:
    """The tests of one folder.

    Attributes:
        name: the folder's name.
        lane: the lane it belongs to; by default one of its own.
        by_file: True if its files need nothing in common, so each is a lane of its own.
        alone: True if no test of another group may run at the same time, because it
            measures times or loads the whole machine.
    """

    name: str
    lane: str = ""
    by_file: bool = False
    alone: bool = False


GROUPS = {
    group.name: group
    for group in (
        Group("unit", by_file=True),
        Group("golden"),
        Group("conformance", by_file=True, alone=True),
        Group("airflow"),
        # It uses the stack of `airflow`, once the tests of that group are done with it.
        Group("load", lane="airflow", alone=True),
        Group("celery"),
        Group("argo"),
        Group("kubeflow"),
        Group("e2e"),
        Group("providers"),
        Group("metadata"),
        Group("images"),
        Group("package"),
        Group("pull"),
    )
}
"""All groups, in the order in which they start."""

OTHER = Group("other")
ORDER = (*GROUPS, OTHER.name)


def group_of(nodeid: str) -> Group:
    """Return the group of a test: the innermost folder that is one."""
    folders = PurePosixPath(nodeid.partition("::")[0]).parent.parts
    return next((GROUPS[name] for name in reversed(folders) if name in GROUPS), OTHER)


def lane_of(nodeid: str) -> str:
    """Return the lane of a test."""
    group = group_of(nodeid)
    return nodeid.partition("::")[0] if group.by_file else group.lane or group.name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by group; within a group the order stays the same."""
    items.sort(key=lambda item: ORDER.index(group_of(item.nodeid).name))


class Lanes(LoadScopeScheduling):
    """Gives each worker one lane at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return lane_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    """Schedule lanes in the order of the groups; xdist starts the largest file first."""
    config.option.loadscopereorder = False
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
    """Return a line for each group: its name, its number of tests and their total seconds."""
    tests: dict[str, set[str]] = defaultdict(set)
    seconds: dict[str, float] = defaultdict(float)
    for report in reports:
        group = group_of(report.nodeid).name
        tests[group].add(report.nodeid)
        seconds[group] += report.duration
    return [
        f"{group:<11} {len(tests[group]):>4} tests {seconds[group]:>8.1f} s"
        for group in ORDER
        if group in tests
    ]
