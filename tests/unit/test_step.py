from __future__ import annotations

import pytest

from devstack.errors import DevstackError
from devstack.kube.api_errors import ServerFaultError, UnreachableError
from devstack.lifecycle.step import Step, pending_steps, run_steps
from devstack.progress import Silent, step
from tests.fakes.runner import FakeClock, Recorder


class FakeStep:
    """A step that is done once it was ensured."""

    def __init__(self, name: str, done: bool = False) -> None:
        self.done = done
        self.ensured = 0
        self.step = Step(name, f"Have {name}", is_done=self.is_done, ensure=self.ensure)

    def is_done(self) -> bool:
        return self.done

    def ensure(self) -> None:
        self.ensured += 1
        self.done = True


def test_only_steps_that_are_not_done_are_performed() -> None:
    steps = [FakeStep("one"), FakeStep("two", done=True), FakeStep("three")]
    progress = Recorder()
    assert run_steps([each.step for each in steps], progress, FakeClock()) == ["one", "three"]
    assert progress.states == {"Have one": "done", "Have two": "unchanged", "Have three": "done"}
    assert run_steps([each.step for each in steps], progress, FakeClock()) == []


@pytest.mark.parametrize("fault", [DevstackError("cannot"), KeyboardInterrupt()])
def test_steps_after_a_failure_are_not_started(fault: BaseException) -> None:
    def fail() -> None:
        raise fault

    first, last = FakeStep("first"), FakeStep("last")
    broken = Step("broken", "Break", is_done=lambda: False, ensure=fail)
    progress = Recorder()
    with pytest.raises(type(fault)):
        run_steps([first.step, broken, last.step], progress, FakeClock())
    assert progress.states == {"Have first": "done", "Break": "failed"}
    assert last.ensured == 0


def test_a_short_api_outage_is_retried() -> None:
    faults: list[DevstackError] = [
        UnreachableError("https://127.0.0.1:1", "connection refused"),
        ServerFaultError("GET /api", 503, "ServiceUnavailable", "not yet"),
    ]

    def is_done() -> bool:
        if faults:
            raise faults.pop()
        return True

    api_step = Step("apply", "Apply", is_done=is_done, ensure=lambda: None, needs_api=True)
    assert run_steps([api_step], Recorder(), FakeClock()) == []


def test_an_api_server_that_stays_unreachable_is_reported_with_the_step() -> None:
    def fail() -> None:
        raise UnreachableError("https://127.0.0.1:1", "connection refused")

    api_step = Step("apply", "Apply steps", is_done=lambda: False, ensure=fail, needs_api=True)
    with pytest.raises(DevstackError, match="Apply steps") as raised:
        run_steps([api_step], Recorder(), FakeClock())
    assert raised.value.code == "WAIT_TIMEOUT"
    assert "connection refused" in raised.value.cause


def test_a_step_that_cannot_be_checked_yet_is_pending() -> None:
    def fail() -> bool:
        raise DevstackError("the stack is not up")

    unknown = Step("unknown", "Ask", is_done=fail, ensure=lambda: None)
    done, open_ = FakeStep("done", done=True), FakeStep("open")
    assert pending_steps([done.step, unknown, open_.step]) == [unknown, open_.step]
    assert open_.ensured == 0


def test_a_part_of_a_command_is_reported_as_done_or_failed() -> None:
    progress = Recorder()
    with step(progress, "Delete the cluster"):
        progress.note("removing a container")
    with pytest.raises(ZeroDivisionError), step(progress, "Fail"):
        raise ZeroDivisionError
    assert progress.states == {"Delete the cluster": "done", "Fail": "failed"}


def test_silent_progress_reports_nothing() -> None:
    with step(Silent(), "Delete the cluster"):
        Silent().note("removing a container")
    Silent().warn("the disk is nearly full")
