from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from devstack.errors import DevstackError, ExitStatus
from devstack.waits import Failed, Observation, Ready, SystemClock, Waiting, wait_until
from tests.fakes.runner import FakeClock


def script(observations: Iterable[Observation]) -> Callable[[], Observation]:
    """Return the observations in order, then the last one repeatedly."""
    left = list(observations)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def wait(
    clock: FakeClock,
    *observations: Observation,
    timeout: float = 60,
    note: Callable[[str], None] | None = None,
) -> None:
    wait_until(
        script(observations), what="minio to become ready", timeout=timeout, clock=clock, note=note
    )


def test_a_ready_subject_is_not_awaited() -> None:
    clock = FakeClock()
    wait(clock, Ready())
    assert clock.slept == []


def test_it_observes_again_until_ready() -> None:
    clock = FakeClock()
    wait(clock, Waiting("no pod yet"), Waiting("pulling"), Ready())
    assert len(clock.slept) == 2


def test_a_timeout_names_the_subject_and_the_last_reason() -> None:
    clock = FakeClock()
    with pytest.raises(DevstackError) as caught:
        wait(clock, Waiting("no pod yet"), Waiting("pod minio-0 is pulling", "last log line"))
    error = caught.value
    assert error.message == "timed out after 60 s waiting for minio to become ready"
    assert error.cause == "pod minio-0 is pulling"
    assert error.output_tail == ["last log line"]
    assert (error.code, error.exit_status) == ("WAIT_TIMEOUT", ExitStatus.TIMEOUT)
    assert "--timeout" in error.remedy


def test_it_never_sleeps_past_the_deadline() -> None:
    clock = FakeClock()
    with pytest.raises(DevstackError):
        wait(clock, Waiting("still"), timeout=0.5)
    assert sum(clock.slept) == pytest.approx(0.5)


def test_a_timeout_of_zero_still_observes_once() -> None:
    clock = FakeClock()
    wait(clock, Ready(), timeout=0)
    with pytest.raises(DevstackError, match="timed out"):
        wait(clock, Waiting("still"), timeout=0)
    assert clock.slept == []


def test_readiness_after_a_slow_observation_counts() -> None:
    clock = FakeClock()

    def slow() -> Observation:
        clock.sleep(100)
        return Ready()

    wait_until(slow, what="the API", timeout=60, clock=clock)


def test_a_failed_observation_fails_immediately() -> None:
    clock = FakeClock()
    failed = Failed(
        "pod task-1 asks for 64 CPU, and no node has that", "ask for less", "UNSCHEDULABLE", "event"
    )
    with pytest.raises(DevstackError) as caught:
        wait(clock, failed)
    error = caught.value
    assert str(error) == f"minio will not become ready: {failed.reason}"
    assert (error.remedy, error.code, error.output) == ("ask for less", "UNSCHEDULABLE", "event")
    assert clock.slept == []


def test_a_failed_wait_always_has_a_remedy() -> None:
    with pytest.raises(DevstackError) as caught:
        wait(FakeClock(), Failed("crash loop"))
    assert caught.value.remedy


def test_a_reason_is_reported_once_until_it_changes() -> None:
    notes: list[str] = []
    reasons = ["no pod", "no pod", "pulling", "pulling", "no pod"]
    wait(FakeClock(), *map(Waiting, reasons), Ready(), note=notes.append)
    assert notes == ["no pod", "pulling", "no pod"]


def test_the_real_clock_only_goes_forward() -> None:
    clock = SystemClock()
    began = clock.now()
    clock.sleep(0.01)
    assert clock.now() - began >= 0.01
