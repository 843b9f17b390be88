"""Running other programs.

Everything that runs a program takes a :class:`Runner`, so that tests need no
programs. Pass secrets in ``input`` or ``env``, never in ``argv``.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from devstack import parallel
from devstack.environment_variables import tool_environment
from devstack.errors import DevstackError, ExitStatus
from devstack.pidfile import write_pidfile

_LOOK_SECONDS = 1.0
"""How often a thread that waits for a program looks whether it is to end."""


@dataclass(frozen=True)
class Completed:
    """A program that has ended: its arguments, exit status and output."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str = ""
    stderr: str = ""

    @property
    def ok(self) -> bool:
        """True if the exit status is 0."""
        return self.returncode == 0


class ProgramMissingError(DevstackError):
    """A program that is not on PATH; code ``TOOL_MISSING``."""


class Runner(Protocol):
    """Runs programs until they end."""

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | bytes | Iterable[bytes] | None = None,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        timeout: float | None = None,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
        pidfile: Path | None = None,
    ) -> Completed:
        """Run ``argv`` and wait for it.

        Args:
            argv: the program and its arguments; never a secret.
            input: what the program reads on standard input, if large in blocks.
            env: variables set on top of this process's own, without those that the
                table of :mod:`devstack.environment_variables` overrides; None unsets one.
            cwd: the folder to run in.
            timeout: seconds after which the program is killed.
            check: raise if the status is not 0.
            on_line: called with each line of stdout and stderr as it appears.
            pidfile: where to note the program while it runs, so that
                :func:`kill_orphan` can end it if this process is killed.

        Returns:
            The ended program, its output decoded as UTF-8.

        Raises:
            DevstackError: the program is missing (``TOOL_MISSING``), cannot be
                started (``TOOL_UNUSABLE``), took too long (``TOOL_TIMEOUT``)
                or, with ``check``, failed (``TOOL_FAILED``).
        """
        ...

    def which(self, program: str) -> str | None:
        """Return the path of ``program`` on PATH, or None."""
        ...


class SubprocessRunner:
    """The real :class:`Runner`; each program runs in a process group of its own.

    A timeout or an interruption ends the whole group, descendants included.
    """

    def which(self, program: str) -> str | None:
        """Return the path of ``program`` on PATH, or None."""
        return shutil.which(program)

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | bytes | Iterable[bytes] | None = None,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        timeout: float | None = None,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
        pidfile: Path | None = None,
    ) -> Completed:
        """Run ``argv`` and wait for it; see :class:`Runner`."""
        if pidfile:
            # Import it first: it takes long, and a process not yet recorded could be orphaned.
            import psutil  # noqa: F401
        process = _start(argv, env=env, cwd=cwd, has_input=input is not None)
        try:
            if pidfile:
                write_pidfile(pidfile, process.pid)
            stdout, stderr = _communicate(process, input, timeout, on_line)
        except subprocess.TimeoutExpired as error:
            end_group(process)
            raise _timed_out(argv, timeout or 0) from error
        except BaseException:
            end_group(process)
            raise
        finally:
            if pidfile:
                pidfile.unlink(missing_ok=True)
        done = Completed(tuple(argv), process.returncode, stdout, stderr)
        if check and not done.ok:
            raise failed(done)
        return done


def failed(done: Completed) -> DevstackError:
    """Return the error for a program with an exit status other than 0."""
    output = done.stderr.strip() or done.stdout
    return DevstackError(
        f"`{_short(done.argv)}` failed with status {done.returncode}",
        code="TOOL_FAILED",
        output=output,
    )


def end_group(process: subprocess.Popen[bytes], grace: float = 5.0) -> None:
    """End a process group: SIGTERM, then SIGKILL after ``grace`` seconds.

    Returns when all processes of the group have ended. Children may outlive the leader.
    """
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        if _group_ends(process, grace):
            break
    process.wait()


def _group_ends(process: subprocess.Popen[bytes], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None and not _group_lives(process.pid):
            return True
        time.sleep(0.02)
    return False


def _group_lives(group: int) -> bool:
    """Return True if a process of the group runs; zombies are ignored."""
    import psutil

    for each in psutil.process_iter(["status"]):
        with suppress(ProcessLookupError):
            if os.getpgid(each.pid) == group and each.info["status"] != psutil.STATUS_ZOMBIE:
                return True
    return False


def _start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str | None] | None,
    cwd: Path | None,
    has_input: bool,
) -> subprocess.Popen[bytes]:
    with _deferred_interrupt() as interrupted:
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=tool_environment(env),
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as error:
            if interrupted:
                raise KeyboardInterrupt from error
            raise _unstartable(argv[0], error) from error
    if interrupted:
        end_group(process)
        raise KeyboardInterrupt
    return process


@contextmanager
def _deferred_interrupt() -> Iterator[list[int]]:
    """Record Ctrl-C instead of raising: a Popen that it interrupts would leave its program."""
    received: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    # Only the main thread receives signals; and a handler may be one that is not Python's.
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield received
        return
    signal.signal(signal.SIGINT, lambda number, _frame: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, handler)


def _unstartable(program: str, error: OSError) -> DevstackError:
    missing = isinstance(error, FileNotFoundError) and error.filename == program
    kind = ProgramMissingError if missing else DevstackError
    return kind(
        f"cannot run `{program}`",
        cause="the program is not on PATH" if missing else str(error),
        remedy=f"install {program}, or run `devstack doctor`" if missing else "",
        code="TOOL_MISSING" if missing else "TOOL_UNUSABLE",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def _communicate(
    process: subprocess.Popen[bytes],
    input: str | bytes | Iterable[bytes] | None,
    timeout: float | None,
    on_line: Callable[[str], None] | None,
) -> tuple[str, str]:
    data = input.encode() if isinstance(input, str) else input
    if on_line is None and (data is None or isinstance(data, bytes)):
        out, err = _wait_for_output(process, data, timeout)
        return out.decode(errors="replace"), err.decode(errors="replace")
    blocks = [data] if isinstance(data, bytes) else data
    return _stream(process, blocks, timeout, on_line or _ignore)


def _wait_for_output(
    process: subprocess.Popen[bytes], data: bytes | None, timeout: float | None
) -> tuple[bytes, bytes]:
    """Return the output of a program that ends, unless its thread is to end before."""
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    while True:
        left = deadline - time.monotonic()
        try:
            return process.communicate(data, timeout=min(left, _LOOK_SECONDS))
        except subprocess.TimeoutExpired:
            if left <= _LOOK_SECONDS:
                raise
        # It has been handed over by now.
        data = None
        parallel.sleep(0)


def _ignore(_line: str) -> None:
    pass


def _stream(
    process: subprocess.Popen[bytes],
    blocks: Iterable[bytes] | None,
    timeout: float | None,
    on_line: Callable[[str], None],
) -> tuple[str, str]:
    deadline = None if timeout is None else time.monotonic() + timeout
    out: list[str] = []
    err: list[str] = []
    # Write and read concurrently: a full pipe in one direction blocks the other.
    threads = [
        threading.Thread(target=_pump, args=(process.stdout, out, on_line), daemon=True),
        threading.Thread(target=_pump, args=(process.stderr, err, on_line), daemon=True),
        threading.Thread(target=_feed, args=(process.stdin, blocks), daemon=True),
    ]
    for thread in threads:
        thread.start()
    process.wait(timeout=timeout)
    for thread in threads:
        # Background processes of the program may keep its output open.
        thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            raise subprocess.TimeoutExpired(process.args, timeout or 0)
    return "".join(out), "".join(err)


def _feed(stream: IO[bytes] | None, blocks: Iterable[bytes] | None) -> None:
    if stream is None or blocks is None:
        return
    # A program may end without reading all of its input; its exit status says if that is wrong.
    with suppress(BrokenPipeError), stream:
        for block in blocks:
            stream.write(block)


def _pump(stream: IO[bytes] | None, lines: list[str], on_line: Callable[[str], None]) -> None:
    if stream is None:
        return
    with stream:
        for raw in stream:
            line = raw.decode(errors="replace")
            lines.append(line)
            if line.strip():
                on_line(line.rstrip())


def _timed_out(argv: Sequence[str], timeout: float) -> DevstackError:
    return DevstackError(
        f"`{_short(argv)}` did not end within {timeout:.0f} s",
        remedy="run it again with a longer --timeout",
        code="TOOL_TIMEOUT",
        exit_status=ExitStatus.TIMEOUT,
    )


def _short(argv: Sequence[str], limit: int = 6) -> str:
    head = " ".join(argv[:limit])
    return head + (" ..." if len(argv) > limit else "")
