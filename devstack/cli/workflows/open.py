"""``devstack ENGINE open``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.options import name_flag, pass_output, stack_options
from devstack.cli.output import Output
from devstack.cli.workflows.engine import WorkflowEngine
from devstack.errors import ExitStatus


def build(engine: WorkflowEngine, help_text: str) -> click.Command:
    """Return the command for an engine.

    Args:
        engine: the engine.
        help_text: what it opens.
    """

    @click.command("open", help=help_text, epilog=f"Example: devstack {engine.name} open MyFlow")
    @click.argument("deployment", metavar="[NAME]", required=False, shell_complete=engine.complete)
    @click.option("--no-browser", is_flag=True, help="Only print the address.")
    @stack_options
    @pass_output
    def command(
        output: Output,
        deployment: str | None,
        no_browser: bool,
        config_file: Path | None,
        **options: Any,
    ) -> int:
        deployer = engine.open_deployer(config_file, **options)
        url = deployer.url(deployer.resolve(deployment) if deployment else "")
        output.data(url=url)
        output.text(url)
        name = name_flag(options.get("name") or "devstack")
        output.text(f"Token: argo-token of devstack status --secrets{name}")
        if not no_browser and not output.as_json:
            click.launch(url)
        output.finish()
        return int(ExitStatus.OK)

    return command
