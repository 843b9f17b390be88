"""``devstack ENGINE delete``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.cli.workflows.engine import WorkflowEngine
from devstack.errors import ExitStatus

_HELP = """Delete each deployment: its {contents}.

Artifacts in the datastore and Metaflow's metadata are kept.
"""


def build(engine: WorkflowEngine, contents: str) -> click.Command:
    """Return the command for an engine.

    Args:
        engine: the engine.
        contents: what a deployment consists of.
    """

    @click.command(
        "delete",
        help=_HELP.format(contents=contents),
        epilog=f"Example: devstack {engine.name} delete MyFlow",
    )
    @click.argument(
        "names", nargs=-1, required=True, metavar="NAME...", shell_complete=engine.complete
    )
    @click.option("--force", is_flag=True, help="Delete active runs too.")
    @stack_options
    @pass_output
    def command(
        output: Output,
        names: tuple[str, ...],
        force: bool,
        config_file: Path | None,
        **options: Any,
    ) -> int:
        deployer = engine.open_deployer(config_file, **options)
        deployments = [deployer.resolve(name) for name in names]
        for name in deployments:
            deployer.delete(name, force=force)
            output.text(f"{name} is deleted")
        output.data(deleted=deployments)
        output.finish()
        return int(ExitStatus.OK)

    return command
