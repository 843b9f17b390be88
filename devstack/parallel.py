"""Doing several things at once, in threads that end when the command is interrupted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

AT_ONCE = 8
"""The number of threads."""

POLL_SECONDS = 0.1
"""How long the main thread waits at once for other threads; between, Python handles signals."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_thread = threading.local()
"""Its ``stop`` is the event of the call that the thread belongs to."""


def in_parallel(
    act: Callable[[_Item], _Result], items: Iterable[_Item], at_once: int = AT_ONCE
) -> list[_Result]:
    """Act on all items at once; return the results in their order.

    Args:
        act: is called with each item, in threads. If the command is interrupted, it ends at the
            next :func:`sleep`, and a program that it runs is ended.
        items: the items.
        at_once: the most threads; the first items come first.

    Raises:
        Exception: the first error, once all have ended.
    """
    items = list(items)
    if len(items) < 2:
        return [act(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor, wait

    stop: threading.Event = getattr(_thread, "stop", None) or threading.Event()
    with ThreadPoolExecutor(at_once, initializer=belong, initargs=(stop,)) as pool:
        try:
            tasks = [pool.submit(act, item) for item in items]
            # In short turns: a signal that comes just before a wait without limit does not end it.
            while wait(tasks, POLL_SECONDS).not_done:
                pass
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [task.result() for task in tasks]


class Background:
    """A call in a thread of its own, which :meth:`finish` waits for and :meth:`cancel` stops.

    Args:
        act: is called in the thread, as those of :func:`in_parallel` are.
    """

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """True if the call has ended."""
        return not self._thread.is_alive()

    def finish(self, check: Callable[[], None] = lambda: None) -> None:
        """Wait for the end; raise the error that ended it, if any.

        Args:
            check: is called several times a second; if it raises, the end is not waited for.
        """
        while not self.ended:
            check()
            self._thread.join(POLL_SECONDS)
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """Let it end as if the command were interrupted, and wait for that."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        belong(self._stop)
        try:
            self._act()
        except BaseException as error:
            self._error = error


def belong(stop: threading.Event) -> None:
    """Let this thread's :func:`sleep` end, by KeyboardInterrupt, once an event is set."""
    _thread.stop = stop


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if the command is interrupted that this thread works for."""
    stop: threading.Event | None = getattr(_thread, "stop", None)
    if stop is not None and stop.is_set():
        raise KeyboardInterrupt


def sleep(seconds: float) -> None:
    """Sleep, unless the command is interrupted that this thread works for.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    stop: threading.Event | None = getattr(_thread, "stop", None)
    if stop is None:
        time.sleep(seconds)
    elif stop.wait(seconds):
        raise KeyboardInterrupt
