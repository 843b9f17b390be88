"""The background process that adds and removes the nodes of a stack's pools."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from devstack.kube.manifests import checksum
from devstack.lifecycle.step import Step, Undo
from devstack.paths import absolute_folders, private_folder
from devstack.pidfile import read_pidfile, recorded_process, terminate_recorded, write_pidfile
from devstack.providers.base import HasPools
from devstack.stack import Stack
from devstack.version import devstack_version

_PIDFILE, LOG = "autoscaler.json", "autoscaler.log"


def autoscaler_steps(stack: Stack) -> list[Step]:
    """Return the step that starts or stops the process; empty if there is nothing to do."""
    if not is_scaled(stack) and not _pidfile(stack).exists():
        return []
    return [
        Step(
            "autoscaler",
            "Start the autoscaler" if is_scaled(stack) else "Stop the autoscaler",
            is_done=lambda: is_scaled(stack) and autoscaler_runs(stack),
            ensure=lambda: ensure_autoscaler(stack),
            undo=Undo("Stop the autoscaler", lambda _: stop_autoscaler(stack)),
        )
    ]


def autoscaler_runs(stack: Stack) -> bool:
    """Return True if the process runs, with the pools as they are now."""
    pidfile = _pidfile(stack)
    current = read_pidfile(pidfile).get("settings") == _settings(stack)
    return current and recorded_process(pidfile) is not None


def ensure_autoscaler(stack: Stack) -> None:
    """Start the process if a pool scales and it does not run; stop one of other settings."""
    if autoscaler_runs(stack) and is_scaled(stack):
        return
    stop_autoscaler(stack)
    if is_scaled(stack):
        process = _spawn(stack)
        write_pidfile(_pidfile(stack), process.pid, settings=_settings(stack))
        _let_begin(process)


def _let_begin(process: subprocess.Popen[bytes]) -> None:
    """Let the process begin, now that it is recorded: if this one is killed before, it ends."""
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(b"recorded\n")


def stop_autoscaler(stack: Stack) -> None:
    """Stop the process, if it runs."""
    terminate_recorded(_pidfile(stack))


def is_scaled(stack: Stack) -> bool:
    """Return True if the stack has a pool that changes by itself."""
    scales = any("max" in pool for pool in stack.spec.pool)
    return scales and isinstance(stack.provider, HasPools)


def _settings(stack: Stack) -> str:
    # Those that `up` has saved; the user may be editing devstack.toml.
    state = stack.state
    # The nodes that it adds pull from mirrors, and from the stack's registry at its port.
    known = [state.pool, state.images, state.cluster, state.mirror, state.ports]
    return checksum([*known, devstack_version()])


def _pidfile(stack: Stack) -> Path:
    return stack.dir.path / _PIDFILE


def _spawn(stack: Stack) -> subprocess.Popen[bytes]:
    log = private_folder(stack.dir.path) / LOG
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "devstack.lifecycle.scaling", stack.spec.name],
            stdin=subprocess.PIPE,
            stdout=descriptor,
            stderr=descriptor,
            # Not the user's folder: its devstack.toml may be another stack's.
            cwd="/",
            env={**os.environ, **absolute_folders()},
            # Ctrl-C in the terminal must not end it.
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
