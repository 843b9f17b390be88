"""The kind CLI."""

from __future__ import annotations

import re

from devstack.errors import DevstackError, ExitStatus
from devstack.images import versions
from devstack.ports import PortTakenError
from devstack.process import Runner
from devstack.tools import Tool


def _is_recent(runner: Runner, kind: str) -> bool:
    found = re.search(r"v(\d+)\.(\d+)", runner.run([kind, "version"], check=False).stdout)
    return found is not None and (int(found[1]), int(found[2])) >= versions.OLDEST_KIND


KIND = Tool("kind", _is_recent)

_PORT_TAKEN = ("port is already allocated", "address already in use")
"""Parts of Docker's messages for a host port in use, from its proxy and from the kernel."""


_STACK_FRAME = re.compile(r"^\S+\n\s+\S+\.(go|s):\d+$\n?", re.MULTILINE)
"""A function and its source line in a stack trace of Go; kubeadm ends an error with many."""


def kind_failed(verb: str, cluster: str, output: str) -> DevstackError:
    """Return the error for a command of kind that failed.

    Args:
        verb: the command.
        cluster: the cluster's name.
        output: what kind wrote on standard error.
    """
    errors = [line for line in output.splitlines() if line.startswith("ERROR")]
    cause = errors[-1].removeprefix("ERROR: ") if errors else "kind ended with an error"
    message = f"cannot {verb} the kind cluster {cluster!r}"
    remedy = "see `devstack doctor`; `devstack down` removes what was created"
    # It was free before, but another program was faster than Docker.
    if any(text in output for text in _PORT_TAKEN):
        return PortTakenError(message, cause=cause, remedy=remedy, output=output)
    return DevstackError(
        message,
        cause=cause,
        remedy=remedy,
        code="KIND_FAILED",
        exit_status=ExitStatus.ENVIRONMENT,
        # Without them, the end is kubeadm's reason.
        output=_STACK_FRAME.sub("", output),
    )
