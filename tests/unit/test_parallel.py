"""Several things at once: their results, their errors, and what ends when interrupted."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from devstack.errors import DevstackError
from devstack.parallel import Background, in_parallel
from devstack.process import SubprocessRunner
from devstack.waits import SystemClock


def test_all_are_done_at_once_and_results_are_in_order() -> None:
    together = threading.Barrier(3, timeout=10)

    def act(item: int) -> int:
        together.wait()
        return item * 2

    assert in_parallel(act, [1, 2, 3]) == [2, 4, 6]
    assert in_parallel(act, []) == []


def test_one_thing_needs_no_thread() -> None:
    assert in_parallel(lambda _: threading.current_thread(), "a") == [threading.current_thread()]


def test_the_first_error_is_raised_once_all_have_ended() -> None:
    ended = []

    def act(item: str) -> None:
        if item != "works":
            raise ValueError(item)
        ended.append(item)

    with pytest.raises(ValueError, match="first"):
        in_parallel(act, ["first", "works", "second"])
    assert ended == ["works"]


def test_an_interrupt_ends_what_waits_also_in_threads_of_threads() -> None:
    clock, waiting = SystemClock(), threading.Barrier(3, timeout=10)

    def wait_long(_item: int) -> None:
        if waiting.wait() == 0:
            os.kill(os.getpid(), signal.SIGINT)
        clock.sleep(300)

    def act(item: int) -> None:
        in_parallel(wait_long, [1, 2] if item else [1])

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        in_parallel(act, [0, 1])
    assert time.monotonic() - began < 30
    assert in_parallel(lambda _: clock.sleep(0), [1, 2]) == [None, None]


def test_an_interrupt_ends_programs_that_threads_run() -> None:
    waiting = threading.Barrier(2, timeout=10)

    def run(item: int) -> None:
        if waiting.wait() == 0:
            os.kill(os.getpid(), signal.SIGINT)
        SubprocessRunner().run(["sleep", "300"], timeout=600)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        in_parallel(run, [0, 1])
    assert time.monotonic() - began < 30


def test_a_program_that_takes_longer_than_its_timeout_is_ended() -> None:
    with pytest.raises(DevstackError, match="3 s"):
        SubprocessRunner().run(["sleep", "300"], timeout=3)


def test_a_program_that_takes_its_time_gets_its_input_once() -> None:
    done = SubprocessRunner().run(["sh", "-c", "sleep 2; cat"], input="text", timeout=30)
    assert done.stdout == "text"


def test_a_background_call_is_awaited_with_its_error() -> None:
    go = threading.Event()

    def fail() -> None:
        go.wait(10)
        raise ValueError("late")

    background = Background(fail)
    assert not background.ended
    go.set()
    with pytest.raises(ValueError, match="late"):
        background.finish()


def test_a_background_call_ends_when_cancelled() -> None:
    clock = SystemClock()
    background = Background(lambda: clock.sleep(300))
    background.cancel()
    assert background.ended
