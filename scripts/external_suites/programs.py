"""Run the programs of a suite in the stack's environment."""

from __future__ import annotations

import math
import os
import re
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from scripts.external_suites.results import FAILED, Result
from scripts.external_suites.selection import choose_tenth

METAFLOW, KIT, KFP = "metaflow", "kit", "kfp"
"""The checkouts: of Metaflow, of metaflow-orchestrator-kit, of Kubeflow Pipelines."""

INTERRUPTED_SECONDS = 30.0
"""What an interrupted flow has to delete its pods, before it is killed."""
TIMED_OUT = 124

_LABEL = "devstack.dev/external-suite"


@dataclass(frozen=True)
class Done:
    """A program that has ended.

    Attributes:
        status: its exit status; ``TIMED_OUT`` if it did not end in time.
        output: its standard output and error.
        seconds: how long it took.
    """

    status: int
    output: str
    seconds: float


@dataclass(frozen=True)
class Programs:
    """How the programs of a suite are run.

    Attributes:
        checkouts: the checkouts by their names, ``METAFLOW`` and others.
        folder: a folder for copies of them.
        logs: a folder for the output of each program.
        python: the Python that runs them.
        only: parts of the names of the tests to run; all if empty.
        results: the results so far, by suite and name of the test.
        deadline: on the monotonic clock; no test is started after it.
        timeout: seconds for one program.
        label: the value of the label of all pods.
        backends: the backends of suites that have several.
        tenth: run only a fixed tenth of a suite that has many tests.
    """

    checkouts: Mapping[str, Path]
    folder: Path
    logs: Path
    python: str
    only: Sequence[str] = ()
    results: dict[str, Result] = field(default_factory=dict)
    deadline: float = math.inf
    timeout: float = 600
    label: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    backends: Sequence[str] = ()
    tenth: bool = False

    def choose(self, names: Sequence[str]) -> set[str]:
        """Return the tests of a suite that may run: all of them, or a fixed tenth."""
        return {*(choose_tenth(names) if self.tenth else names)}

    def wants(self, suite: str, test: str) -> bool:
        """Return True if a test is to run."""
        if self.is_over() or self.is_done(suite, test):
            return False
        return not self.only or any(each in test for each in self.only)

    def is_done(self, suite: str, test: str) -> bool:
        """Return True if a test, or the parts of it, have results, and none failed."""
        outcomes = [self.results[name].outcome for name in self._rows(suite, test)]
        return bool(outcomes) and FAILED not in outcomes

    def forget(self, suite: str, test: str) -> None:
        """Drop the results of a test that runs again: it may report under other names."""
        for name in self._rows(suite, test):
            del self.results[name]

    def _rows(self, suite: str, test: str) -> list[str]:
        whole = f"{suite} {test}"
        return [name for name in self.results if name == whole or name.startswith(f"{whole} ")]

    def is_over(self) -> bool:
        """Return True if no other test is to start."""
        return time.monotonic() > self.deadline

    def copy(self, name: str, checkout: str = METAFLOW) -> Path:
        """Return a copy of a folder of a checkout: suites write into their folders."""
        target = self.folder / checkout / name
        if not target.exists():
            shutil.copytree(self.checkouts[checkout] / name, target)
        return target

    def run(self, name: str, *argv: str, cwd: Path, timeout: float | None = None) -> Done:
        """Run a program in the stack's environment, and end what it leaves if it times out.

        Args:
            name: the name of its file of output.
            argv: the program and its arguments.
            cwd: its working directory.
            timeout: seconds; by default the timeout of all.
        """
        # Labels find the pods of a program that was killed. The tests do not look at them.
        labels = f"METAFLOW_KUBERNETES_LABELS={_LABEL}={self.label}"
        command = [_devstack(), "shell", "--", "env", labels, *argv]
        log = self.logs / f"{re.sub('[/ ]', '-', name)}.log"
        limit = self.timeout if timeout is None else timeout
        started = time.monotonic()
        # A file, because what a killed program leaves would hold a pipe open.
        with log.open("wb") as output:
            program = subprocess.Popen(
                command,
                cwd=cwd,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = program.wait(limit)
            except BaseException as error:
                self._end(program)
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                status = TIMED_OUT
        text = log.read_text(errors="replace")
        if status == TIMED_OUT:
            text += f"\ndid not end within {limit:.0f} s"
        return Done(status, text, time.monotonic() - started)

    def _environment(self) -> dict[str, str]:
        """Return this environment, with the suites' Python first and a user's name.

        test/core copies USER and fails without it (``run_tests.py``).
        """
        path = f"{Path(self.python).parent}{os.pathsep}{os.environ['PATH']}"
        left_out = ("PYTHONPATH", "VIRTUAL_ENV")
        kept = {key: value for key, value in os.environ.items() if key not in left_out}
        return {"USER": "tester", **kept, "PATH": path}

    def _end(self, program: subprocess.Popen[bytes]) -> None:
        """End a program and its children as Ctrl-C does, by force if need be; delete its pods."""
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(program.pid, signal.SIGINT)
            program.wait(INTERRUPTED_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()
        kinds = "jobs.batch,jobsets.jobset.x-k8s.io"
        # In all namespaces: the stack's need not be the default one.
        selector = ["-A", "--selector", f"{_LABEL}={self.label}", "--wait=false"]
        subprocess.run(
            [_devstack(), "kubectl", "--admin", "delete", kinds, *selector],
            capture_output=True,
            check=False,
        )


def _devstack() -> str:
    """Return our own devstack: the suites' Python may have another one."""
    return shutil.which("devstack") or "devstack"
