"""The process of a running flow."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from devstack.process import end_group

STOP_GRACE_PERIOD = 20.0
"""Seconds that Metaflow may take to end its tasks; it gives them 5 s itself."""


def ignore(_text: str) -> None:
    """Discard a line of output."""


def interrupt_group(process: subprocess.Popen[bytes], grace: float = STOP_GRACE_PERIOD) -> None:
    """Stop a process group: SIGINT, then SIGTERM, then SIGKILL.

    The whole group gets SIGINT, as from a terminal: Metaflow relies on its workers
    getting it too.  A leader that ignores SIGINT gets SIGTERM at once.

    Args:
        process: the leader of the group.
        grace: seconds between SIGINT and SIGTERM.
    """
    try:
        if not _ignores_interrupt(process.pid):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(grace)
    finally:
        # Also after a second Ctrl-C, which ends the wait.
        end_group(process)


def _ignores_interrupt(pid: int) -> bool:
    """Return True if a process ignores SIGINT, as far as the operating system shows that."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    found = re.search(r"^SigIgn:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bool(found and int(found[1], 16) & 1 << (signal.SIGINT - 1))


class FlowProcess:
    """A flow's process, in a process group of its own; its output goes to a file.

    So Ctrl-C on the terminal reaches devstack only, which then interrupts the flow
    and deletes its pods.

    Args:
        argv: the command.
        variables: the complete environment of the process.
        log: the file that the output is written to, with mode 0600.
        on_line: called with each line of output as it appears.
        folder: where the process runs; by default the current folder.
    """

    def __init__(
        self,
        argv: Sequence[str],
        variables: Mapping[str, str],
        log: Path,
        on_line: Callable[[str], None],
        folder: Path | None = None,
    ) -> None:
        self._on_line = on_line
        opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        # Whatever the locale is, because a flow may print any character.
        self._log = os.fdopen(opened, "w", encoding="utf-8")
        self._process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(variables),
            cwd=folder,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def returncode(self) -> int | None:
        """Return the exit status, or None while the process runs."""
        return self._process.poll()

    def wait(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for the process to end; return True if it has."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.returncode() is not None

    def finish(self) -> int:
        """Read the rest of the output of an ended process; return its exit status."""
        # A grandchild that outlives the flow may hold the pipe open.
        self._reader.join(timeout=STOP_GRACE_PERIOD)
        return self._process.wait()

    def stop(self) -> None:
        """Interrupt the flow as Ctrl-C would, so that Metaflow ends its tasks; then use force.

        From now on, its output goes to the log only.
        """
        self._on_line = ignore
        interrupt_group(self._process)
        self.finish()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._log, self._process.stdout as stream:
            for raw in stream:
                line = raw.decode(errors="replace").rstrip("\n")
                self._log.write(line + "\n")
                self._log.flush()
                # Without a reader, the flow would wait, or fail, when it prints next.
                with suppress(BrokenPipeError):
                    self._on_line(line)
