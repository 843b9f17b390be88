"""The deployer, and shell completion, for the commands of `devstack airflow`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devstack.config import load

if TYPE_CHECKING:
    from devstack.deployers.airflow.deployer import AirflowDeployer
    from devstack.stack import Stack

INSTALLATION = "devstack.installation"
"""The key of `--installation` in click's context."""


def open_deployer(config_file: Path | None, **options: Any) -> AirflowDeployer:
    """Return the deployer of the stack that the options select."""
    from devstack.deployers.airflow import deployer
    from devstack.stack import open_stack

    return deployer.open_deployer(select_installation(open_stack(load(config_file, **options))))


def select_installation(stack: Stack) -> Stack:
    """Let the stack's commands work on the installation of Airflow that `--installation` names."""
    from devstack.services.airflow.installation import Installation

    stack.installation = Installation(click.get_current_context().meta.get(INSTALLATION, ""))
    return stack


def complete_dags(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the ids of DAGs that start with ``incomplete``."""
    from devstack.errors import DevstackError

    try:
        dags = open_deployer(None, name=context.params.get("name")).dags()
    except DevstackError:
        return []
    return [dag.dag_id for dag in dags if dag.dag_id.startswith(incomplete)]
