"""The engine that a shared command works with."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from devstack.config import load


@dataclass(frozen=True)
class WorkflowEngine:
    """An engine whose runs are workflows of Argo.

    Attributes:
        name: as in ``devstack NAME deploy``.
        title: its name in texts.
        run_name: what the engine calls a run by, such as ``the workflow's name``.
        example_run: the id of a run, for examples.
    """

    name: str
    title: str
    run_name: str
    example_run: str

    def open_deployer(self, config_file: Path | None, **options: Any) -> Any:
        """Return the deployer of the stack that the options select."""
        from devstack.stack import open_stack

        module = importlib.import_module(f"devstack.deployers.{self.name}.deployer")
        return module.open_deployer(open_stack(load(config_file, **options)))

    @property
    def complete(self) -> Callable[[click.Context, click.Parameter, str], list[str]]:
        """Completes the names of deployments."""

        def complete(
            context: click.Context, _parameter: click.Parameter, incomplete: str
        ) -> list[str]:
            from devstack.errors import DevstackError

            try:
                found = self.open_deployer(None, name=context.params.get("name")).deployments()
            except DevstackError:
                return []
            return [each["name"] for each in found if each["name"].startswith(incomplete)]

        return complete
