"""What the commands that start Metaflow pass on from a stack."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devstack.flows.environment import FlowEnvironment
    from devstack.stack import Stack


def flow_environment(stack: Stack, python: Path | None = None) -> FlowEnvironment:
    """Return what a flow process needs from a stack.

    Unsets the variables of this process that would override the stack's settings:
    programs that a Runner starts inherit the others.

    Args:
        stack: the stack.
        python: the interpreter; devstack's own if None.

    Raises:
        DevstackError: ``STACK_DOWN``.
    """
    from devstack.environment import build_environment, conflicting_variables
    from devstack.flows.environment import FlowEnvironment
    from devstack.stack import require_up

    require_up(stack)
    for variable in conflicting_variables(stack):
        os.environ.pop(variable, None)
    return FlowEnvironment(
        environment=build_environment(stack),
        python=python or Path(sys.executable),
        namespace=stack.state.namespace,
        kube=stack.kube(),
        logs=stack.dir.logs,
    )
