"""The deployer, and shell completion, for the commands of `devstack argo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devstack.config import load

if TYPE_CHECKING:
    from devstack.deployers.argo.deployer import ArgoDeployer


def open_deployer(config_file: Path | None, **options: Any) -> ArgoDeployer:
    """Return the deployer of the stack that the options select."""
    from devstack.deployers.argo import deployer
    from devstack.stack import open_stack

    return deployer.open_deployer(open_stack(load(config_file, **options)))


def complete_deployments(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the names of deployments that start with ``incomplete``."""
    from devstack.errors import DevstackError

    try:
        found = open_deployer(None, name=context.params.get("name")).deployments()
    except DevstackError:
        return []
    return [each["name"] for each in found if each["name"].startswith(incomplete)]
