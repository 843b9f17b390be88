"""The lock of a deployment: commands that change one deployment take turns."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from devstack.deployers.base import Note
from devstack.stack import Stack
from devstack.waits import Observation, Ready, Waiting, wait_until

TURNS = 5
"""Number of predecessors that a command waits for, each within the stack's timeout."""


@contextmanager
def deployment_lock(
    stack: Stack, engine: str, name: str, note: Note | None = None
) -> Iterator[None]:
    """Hold the lock of a deployment; the kernel releases it when this process ends.

    Args:
        stack: the stack.
        engine: the engine of the deployment, such as ``airflow``.
        name: the deployment.
        note: shows what is waited for.

    Raises:
        DevstackError: ``WAIT_TIMEOUT``: other commands did not end in time.
    """
    hashed = sha256(name.encode()).hexdigest()[:16]
    with (lock_folder(stack) / f"{engine}-{hashed}").open("w") as file:

        def observe() -> Observation:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return Waiting(f"another command is changing {name}")
            return Ready()

        wait_until(
            observe,
            what=f"other commands to finish with {name}",
            timeout=TURNS * stack.spec.timeout,
            clock=stack.clock,
            note=note,
            remedy="end the other command, then run this one again",
        )
        yield


def lock_folder(stack: Stack) -> Path:
    """Return the folder of the lock files; `devstack down` deletes it."""
    folder: Path = stack.dir.path / "deployment-locks"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
