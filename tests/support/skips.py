"""Fail tests that are skipped for a reason that is not listed here."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

import pytest

VERSION_NOT_BUILT = "the node image of another version of Kubernetes is not in Docker"

ALLOWED: tuple[str, ...] = (
    VERSION_NOT_BUILT,
    "zsh is not installed",
    "fish is not installed",
    "podman is not installed, or no root",
)
"""The allowed reasons, for what not every machine has."""

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    found = report.longrepr
    text = found[2] if isinstance(found, tuple) else str(found)
    return text.removeprefix("Skipped: ")


def refuse_skip(report: Report) -> Report:
    """Turn a skip for a reason that is not allowed into a failure."""
    expected_failure = hasattr(report, "wasxfail")
    if report.skipped and not expected_failure and _reason(report) not in ALLOWED:
        report.outcome = "failed"
        report.longrepr = f"skipped, which only tests/support/skips.py may allow: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Reject the skip of a test."""
    return refuse_skip((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Reject the skip of a whole file."""
    return refuse_skip((yield))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many tests were skipped."""
    skipped = len(terminalreporter.getreports("skipped"))
    terminalreporter.write_line(f"tests skipped for a listed reason: {skipped}")
