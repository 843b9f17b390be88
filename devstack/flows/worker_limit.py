"""The limit of tasks at a time, which Metaflow accepts below one.

It then starts no task and waits without end (``NativeRuntime._launch_workers`` in
metaflow/runtime.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from devstack.errors import DevstackError, ExitStatus
from devstack.flows.arguments import FlowArguments

OPTION = "--max-workers"


def check_worker_limit(arguments: FlowArguments, variables: Mapping[str, str]) -> None:
    """Reject a limit with which no task would ever start.

    Args:
        arguments: the flow's arguments.
        variables: the environment of the flow's process, from which click reads the option too.

    Raises:
        DevstackError: ``FLOW_VALUE_UNSUPPORTED``.
    """
    variable = f"METAFLOW_{arguments.command.upper()}_MAX_WORKERS"
    typed = arguments.values_of(OPTION) or [(variable, variables.get(variable, ""))]
    what, value = typed[-1]
    if _is_integer(value) and int(value) < 1:
        raise DevstackError(
            f"cannot run with {what} {value!r}: Metaflow would start no task",
            remedy="choose 1 or more",
            code="FLOW_VALUE_UNSUPPORTED",
            exit_status=ExitStatus.USAGE,
        )


def _is_integer(value: str) -> bool:
    """Return True for what click converts; Metaflow itself reports anything else."""
    try:
        int(value)
    except ValueError:
        return False
    return True
