"""Every sample flow runs on the stack, and its results are correct."""

from __future__ import annotations

from typing import Any

import pytest

from devstack.errors import ExitStatus
from devstack.samples.catalogue import SAMPLES
from tests.support.commandline import Devstack


@pytest.fixture(scope="module")
def ran(stack: Devstack) -> dict[str, Any]:
    """Return what `devstack run` reports on all samples, by name."""
    return stack.samples()


@pytest.mark.parametrize("name", [each.name for each in SAMPLES if not each.needs_index])
def test_a_sample_passes_its_checks(ran: dict[str, Any], name: str) -> None:
    sample = ran[name]
    assert sample["ok"], sample["wrong"] or sample["error"]
    assert sample["checked"] >= 5
    assert sample["pods"]


def test_an_intended_failure_is_reported_like_that_of_a_user_flow(
    ran: dict[str, Any],
) -> None:
    error = ran["failure"]["error"]
    assert error["code"] == "FLOW_FAILED"
    assert any("RuntimeError: out of fuel, on purpose" in line for line in error["output"])
    assert ran["failure"]["result"] == "failed as it should"


def test_a_sample_reports_how_its_time_divides(ran: dict[str, Any]) -> None:
    for sample in ran.values():
        parts = ("running_seconds", "waiting_seconds", "overhead_seconds")
        assert sample["seconds"] == pytest.approx(sum(sample[part] for part in parts), abs=0.05)
        assert sample["running_seconds"] > 0


def test_a_failing_sample_on_its_own_ends_with_the_status_of_a_failed_flow(
    stack: Devstack,
) -> None:
    done = stack.run("run", "failure", check=False)
    assert done.returncode == ExitStatus.FLOW_FAILED
    assert "out of fuel, on purpose" in done.stderr
    assert "give_up" in done.stderr


def test_a_sample_with_arguments_runs_like_a_user_flow(stack: Devstack) -> None:
    done = stack.run("run", "hello", "--", "--who", "you")
    assert "The pod said: Hello, you!" in done.stdout
