"""Run ``devstack``, and turn its errors into Metaflow's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from metaflow.exception import MetaflowException

EXECUTABLE = "DEVSTACK_EXECUTABLE"

_TAIL_LINES = 15
_UNSUPPORTED = "FLOW_UNSUPPORTED"


class DevstackCommandError(MetaflowException):
    """A command of devstack failed.

    Args:
        error: the error of the command's JSON: message, cause, remedy, code, output.

    Attributes:
        code: devstack's stable code, such as ``DAG_UNKNOWN``.
        cause: why it failed; empty if the message says it.
        remedy: the next step.
    """

    headline = "devstack failed"

    def __init__(self, error: Mapping[str, Any]) -> None:
        self.code = str(error.get("code") or "FAILED")
        self.cause = str(error.get("cause") or "")
        self.remedy = str(error.get("remedy") or "")
        message = str(error.get("message") or "devstack failed")
        if self.code == _UNSUPPORTED:
            # By these words Metaflow's tests of deployers (test/ux) tell a limit from a fault.
            message += " (not supported)"
        lines = [f"{message}: {self.cause}" if self.cause else message]
        lines += [f"  | {line}" for line in error.get("output") or ()]
        lines += [f"next: {self.remedy}"] if self.remedy else []
        super().__init__("\n".join([*lines, f"code: {self.code}"]))


def run_devstack(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    timeout: float | None = None,
    show_output: bool = False,
) -> dict[str, Any]:
    """Run a command of devstack; return the data of its JSON.

    Args:
        argv: the command without ``devstack``; ``--json`` is among its options.
        env: its complete environment; that of this process if None.
        cwd: its folder; the current one if None.
        timeout: maximum seconds; unlimited if None.
        show_output: print what it writes to standard error, and its warnings.

    Raises:
        DevstackCommandError: it failed, or cannot be started.
    """
    variables = dict(os.environ if env is None else env)
    command = [variables.get(EXECUTABLE) or os.environ.get(EXECUTABLE) or "devstack", *argv]
    try:
        done = subprocess.run(
            command,
            env=variables,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except (OSError, ValueError) as error:
        raise _not_started(command, error) from error
    except subprocess.TimeoutExpired as error:
        raise _timed_out(command, timeout) from error
    envelope = _envelope(done)
    if show_output:
        sys.stderr.write(done.stderr)
        sys.stderr.writelines(f"warning: {each}\n" for each in envelope.get("warnings") or ())
    if envelope.get("error") or done.returncode != 0:
        raise DevstackCommandError(envelope.get("error") or {"message": _status(done)})
    data: dict[str, Any] = envelope.get("data") or {}
    return data


def _envelope(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return what the command printed; an envelope with an error if that is no JSON."""
    try:
        envelope = json.loads(done.stdout)
    except ValueError:
        envelope = None
    if isinstance(envelope, dict):
        return envelope
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    error = {
        "message": _status(done),
        "cause": "it printed no JSON",
        "output": lines[-_TAIL_LINES:],
    }
    return {"error": {**error, "code": "DEVSTACK_FAILED"}}


def _status(done: subprocess.CompletedProcess[str]) -> str:
    return f"devstack ended with status {done.returncode}"


def _not_started(command: Sequence[str], error: Exception) -> DevstackCommandError:
    return DevstackCommandError(
        {
            "message": f"cannot start {command[0]}",
            "cause": str(error),
            "remedy": 'open a new `devstack shell`, or run `eval "$(devstack env)"` again',
            "code": "DEVSTACK_NOT_STARTED",
        }
    )


def _timed_out(command: Sequence[str], timeout: float | None) -> DevstackCommandError:
    return DevstackCommandError(
        {
            "message": f"devstack {' '.join(command[1:3])} did not end within {timeout} s",
            "remedy": "set a larger file_read_timeout, or check `devstack status`",
            "code": "DEVSTACK_TIMEOUT",
        }
    )
