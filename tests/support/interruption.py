"""Ending a devstack command in the middle of a step, by Ctrl-C or by kill -9."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.commandline import Devstack
from tests.support.eventually import eventually

START = "the lock is taken"
"""Stands for the start of the command's first step, before any line of progress."""

MOMENT_SECONDS = 0.02
"""The interval, in seconds, of checks that must not miss a short moment."""


@dataclass(frozen=True)
class Interrupted:
    """A command that received a signal: its exit status, and what it had printed."""

    returncode: int
    printed: str


def interrupt(stack: Devstack, *argv: str, when: str, sign: signal.Signals) -> Interrupted:
    """Start a command; send ``sign`` as soon as a line of its progress contains ``when``.

    A step's line is printed at its end, so the line of one step is the start of the next.
    """
    process = stack.start(*argv)
    printed = []
    if when == START:
        await_lock(stack, process)
    else:
        printed = _read_up_to(process, when)
    # Only devstack itself: a terminal's Ctrl-C does not reach what it keeps in other sessions.
    os.kill(process.pid, sign)
    _, rest = process.communicate(timeout=120)
    return Interrupted(process.returncode, "".join(printed) + rest)


def await_lock(stack: Devstack, process: subprocess.Popen[str]) -> None:
    """Wait until a command that was started has the stack's lock."""

    def taken() -> bool:
        assert process.poll() is None, process.communicate()
        return holder(stack) == process.pid

    eventually("the lock to be taken", taken, interval=MOMENT_SECONDS)


def holder(stack: Devstack) -> int | None:
    """Return the process ID in the stack's lock file."""
    lock = stack.directory.parent / f".{stack.name}.lock"
    text = lock.read_text() if lock.exists() else ""
    return int(text) if text else None


def _read_up_to(process: subprocess.Popen[str], when: str) -> list[str]:
    assert process.stderr is not None
    printed = []
    for line in process.stderr:
        printed.append(line)
        if when in line:
            return printed
    raise AssertionError(f"no line contains {when!r}:\n{''.join(printed)}")


@contextmanager
def silent_docker(path: Path) -> Iterator[str]:
    """Open a socket that accepts requests and never answers; yield its DOCKER_HOST."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield f"unix://{path}"


@contextmanager
def collect_command_lines() -> Iterator[set[str]]:
    """Collect the command line of every process of the machine, while the context is open."""
    command_lines: set[str] = set()
    over = threading.Event()

    def collect() -> None:
        while not over.wait(0.005):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/cmdline") as file:
                        command_lines.add(file.read().replace("\0", " "))
                except OSError:
                    continue

    watcher = threading.Thread(target=collect)
    watcher.start()
    try:
        yield command_lines
    finally:
        over.set()
        watcher.join()
