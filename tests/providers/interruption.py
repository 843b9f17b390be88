"""Ending a devstack command in the middle of a step, by Ctrl-C or by kill -9."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.commandline import Devstack

START = ""
"""Stands for the very start of the command, before its first line."""


@dataclass(frozen=True)
class Interrupted:
    """A command that was told to end: its status, and what it had printed until then."""

    returncode: int
    printed: str


def interrupt(stack: Devstack, *argv: str, when: str, sign: signal.Signals) -> Interrupted:
    """Start a command; send ``sign`` as soon as a line of its progress contains ``when``.

    A step's line is printed at its end, so the line of one step is the start of the next.
    """
    process = stack.start(*argv)
    assert process.stderr is not None
    printed = []
    if when:
        for line in process.stderr:
            printed.append(line)
            if when in line:
                break
        else:
            raise AssertionError(f"no line contains {when!r}:\n{''.join(printed)}")
    # Only devstack itself: a terminal's Ctrl-C does not reach what it keeps in other sessions.
    os.kill(process.pid, sign)
    _, rest = process.communicate(timeout=120)
    return Interrupted(process.returncode, "".join(printed) + rest)


@contextmanager
def seen_command_lines() -> Iterator[set[str]]:
    """Collect the command line of every process of the machine, for as long as this is open."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/cmdline") as words:
                        seen.add(words.read().replace("\0", " "))
                except OSError:
                    continue

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()
