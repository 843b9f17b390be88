"""The largest number of tasks that run at the same time.

Metaflow accepts numbers below one, and then waits forever without starting a task
(``NativeRuntime._launch_workers`` in metaflow/runtime.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from devstack.errors import DevstackError, ExitStatus
from devstack.flows.arguments import FlowArguments, typed_or_set

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
    given = typed_or_set(arguments.values_of(OPTION), variables, variable, many=False)
    for what, value in given[-1:]:
        if _is_below_one(value):
            raise DevstackError(
                f"cannot run with {what} {value!r}",
                cause="Metaflow would start no task",
                remedy="choose 1 or more",
                code="FLOW_VALUE_UNSUPPORTED",
                exit_status=ExitStatus.USAGE,
            )


def _is_below_one(value: str) -> bool:
    """Return True for a number below one; Metaflow itself reports what is no number."""
    try:
        return int(value) < 1
    except ValueError:
        return False
