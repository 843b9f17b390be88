"""Doing several things at once, in threads that end when the command is interrupted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

AT_ONCE = 8
"""The number of threads."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_thread = threading.local()
"""Its ``stop`` is the event of the call that the thread belongs to."""


def in_parallel(act: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Act on all items at once; return the results in their order.

    Args:
        act: is called with each item, in threads. If the command is interrupted, it ends at the
            next :func:`sleep`, and a program that it runs is ended.
        items: the items.

    Raises:
        Exception: the first error, once all have ended.
    """
    items = list(items)
    if len(items) < 2:
        return [act(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor, wait

    stop: threading.Event = getattr(_thread, "stop", None) or threading.Event()
    with ThreadPoolExecutor(AT_ONCE, initializer=belong, initargs=(stop,)) as pool:
        try:
            tasks = [pool.submit(act, item) for item in items]
            wait(tasks)
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [task.result() for task in tasks]


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
