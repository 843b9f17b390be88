from __future__ import annotations

import pytest

from devstack.errors import DevstackError
from devstack.kube.api_errors import ServerFaultError, UnreachableError
from devstack.lifecycle.step import Step, pending_steps, run_steps
from devstack.progress import Silent, step
from tests.fakes.runner import FakeClock, Recorder


class Thing:
    """Something that holds once it was made to."""

    def __init__(self, name: str, held: bool = False) -> None:
        self.held = held
        self.asked = 0
        self.step = Step(name, f"Have {name}", is_done=self.is_done, ensure=self.ensure)

    def is_done(self) -> bool:
        return self.held

    def ensure(self) -> None:
        self.asked += 1
        self.held = True


def test_only_what_does_not_hold_is_done() -> None:
    things = [Thing("one"), Thing("two", held=True), Thing("three")]
    progress = Recorder()
    assert run_steps([thing.step for thing in things], progress, FakeClock()) == ["one", "three"]
    assert progress.states == {"Have one": "done", "Have two": "unchanged", "Have three": "done"}
    assert run_steps([thing.step for thing in things], progress, FakeClock()) == []


@pytest.mark.parametrize("fault", [DevstackError("cannot"), KeyboardInterrupt()])
def test_what_comes_after_a_failure_is_not_begun(fault: BaseException) -> None:
    def fail() -> None:
        raise fault

    first, last = Thing("first"), Thing("last")
    broken = Step("broken", "Break", is_done=lambda: False, ensure=fail)
    progress = Recorder()
    with pytest.raises(type(fault)):
        run_steps([first.step, broken, last.step], progress, FakeClock())
    assert progress.states == {"Have first": "done", "Break": "failed"}
    assert last.asked == 0


def test_an_api_server_that_refuses_for_a_moment_is_asked_again() -> None:
    faults: list[DevstackError] = [
        UnreachableError("https://127.0.0.1:1", "connection refused"),
        ServerFaultError("GET /api", 503, "ServiceUnavailable", "not yet"),
    ]

    def is_done() -> bool:
        if faults:
            raise faults.pop()
        return True

    asks = Step("apply", "Apply", is_done=is_done, ensure=lambda: None, needs_api=True)
    assert run_steps([asks], Recorder(), FakeClock()) == []


def test_an_api_server_that_stays_away_is_named_with_the_step() -> None:
    def fail() -> None:
        raise UnreachableError("https://127.0.0.1:1", "connection refused")

    asks = Step("apply", "Apply things", is_done=lambda: False, ensure=fail, needs_api=True)
    with pytest.raises(DevstackError, match="Apply things") as raised:
        run_steps([asks], Recorder(), FakeClock())
    assert raised.value.code == "WAIT_TIMEOUT"
    assert "connection refused" in raised.value.cause


def test_a_step_that_cannot_be_asked_yet_is_to_do() -> None:
    def fail() -> bool:
        raise DevstackError("the stack is not up")

    unknown = Step("unknown", "Ask", is_done=fail, ensure=lambda: None)
    held, open_ = Thing("held", held=True), Thing("open")
    assert pending_steps([held.step, unknown, open_.step]) == [unknown, open_.step]
    assert open_.asked == 0


def test_a_part_of_a_command_is_reported_as_done_or_failed() -> None:
    progress = Recorder()
    with step(progress, "Delete the cluster"):
        progress.note("removing a container")
    with pytest.raises(ZeroDivisionError), step(progress, "Fail"):
        raise ZeroDivisionError
    assert progress.states == {"Delete the cluster": "done", "Fail": "failed"}


def test_nobody_needs_to_be_told() -> None:
    with step(Silent(), "Delete the cluster"):
        Silent().note("removing a container")
    Silent().warn("the disk is nearly full")
