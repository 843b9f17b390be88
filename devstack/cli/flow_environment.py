"""What the commands that start Metaflow pass on from a stack."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from devstack.flows.environment import FlowEnvironment
    from devstack.stack import Stack


def flow_environment(stack: Stack, python: Path | None = None) -> FlowEnvironment:
    """Return what a flow process needs from a stack.

    Prints which of the user's settings the stack overrides.

    Args:
        stack: the stack.
        python: the interpreter; devstack's own if None.

    Raises:
        DevstackError: ``STACK_DOWN`` or ``PROJECT_CONFIG_INVALID``.
    """
    from devstack.environment import build_environment, conflicting_variables
    from devstack.environment_variables import FLOW_PROGRAMS
    from devstack.flows.environment import FlowEnvironment
    from devstack.stack import require_up

    require_up(stack)
    print_overrides()
    return FlowEnvironment(
        environment={**_project_decorators(), **build_environment(stack)},
        python=python or Path(sys.executable),
        namespace=stack.state.namespace,
        kube=stack.kube(),
        logs=stack.dir.logs,
        unset=frozenset(conflicting_variables(stack, FLOW_PROGRAMS)),
    )


def _project_decorators() -> dict[str, str]:
    """Return the project's decorators of every step as a variable, which has precedence.

    They may name a platform, which decides where steps run.
    """
    from devstack.project_config import DECORATORS, find_project_config

    project = find_project_config()
    if project is None or not project.decorators or DECORATORS in os.environ:
        return {}
    return {DECORATORS: project.decorators}


def print_overrides() -> None:
    """Print on stderr which of the user's settings of Metaflow the stack overrides."""
    from devstack.environment import describe_overrides

    for sentence in describe_overrides():
        click.echo(f"devstack: {sentence}", err=True)
