"""The process of a running flow."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from devstack.process import end_group

STOP_GRACE_PERIOD = 20.0
"""How long Metaflow may take to end its tasks; it gives them 5 s itself."""


def ignore(_text: str) -> None:
    """Take no notice of a line."""


class FlowProcess:
    """A flow's process, in a process group of its own; its output goes to a file.

    Ctrl-C on the terminal therefore reaches devstack alone, which then ends the
    flow in good order.

    Args:
        argv: the command.
        variables: all of the process's environment.
        log: the file that keeps the output, 0600.
        on_line: called with each line as it appears.
    """

    def __init__(
        self,
        argv: Sequence[str],
        variables: Mapping[str, str],
        log: Path,
        on_line: Callable[[str], None],
    ) -> None:
        self._on_line = on_line
        self._log = os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w")
        self._process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(variables),
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def returncode(self) -> int | None:
        """Return the status it ended with, or None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for its end; return whether it ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.returncode() is not None

    def finish(self) -> int:
        """Return the status of an ended process, all of its output read."""
        # A grandchild that outlives the flow may hold the pipe open.
        self._reader.join(timeout=STOP_GRACE_PERIOD)
        return self._process.wait()

    def stop(self) -> None:
        """End it as Ctrl-C would, so that Metaflow ends its tasks; then by force.

        What it says from now on goes to the log alone.
        """
        self._on_line = ignore
        with suppress(ProcessLookupError):
            # The whole group, as a terminal does: Metaflow expects its workers to hear it too.
            os.killpg(self._process.pid, signal.SIGINT)
        self.wait(STOP_GRACE_PERIOD)
        end_group(self._process)
        self.finish()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._log, self._process.stdout as stream:
            for raw in stream:
                line = raw.decode(errors="replace").rstrip("\n")
                self._log.write(line + "\n")
                self._log.flush()
                self._on_line(line)
