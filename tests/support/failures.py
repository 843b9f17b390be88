"""Prints a failure when it happens, so that a run that is ended from outside has reported it."""

from __future__ import annotations

import pytest


class FailuresAtOnce:
    """Writes each failed report to the terminal as soon as it arrives."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print the text of a failed test, set-up or tear-down."""
        terminal = self.config.pluginmanager.getplugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.ensure_newline()
            terminal.write_line(f"FAILED in {report.when}: {report.nodeid}", red=True)
            terminal.write_line(report.longreprtext)


def pytest_configure(config: pytest.Config) -> None:
    """Add the reporter, except in a worker, whose reports arrive where the run was started."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailuresAtOnce(config), "failures_at_once")
