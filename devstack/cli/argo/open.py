"""``devstack argo open``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.argo.options import complete_deployments, open_deployer
from devstack.cli.options import name_flag, pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("open", epilog="Example: devstack argo open MyFlow")
@click.argument("deployment", metavar="[NAME]", required=False, shell_complete=complete_deployments)
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
    """Open Argo's page, or that of the deployment NAME, and print its address."""
    deployer = open_deployer(config_file, **options)
    url = deployer.url(deployer.resolve(deployment) if deployment else "")
    output.data(url=url)
    output.text(url)
    name = name_flag(options.get("name") or "devstack")
    output.text(f"Token: argo-token of devstack status --secrets{name}")
    if not no_browser and not output.as_json:
        click.launch(url)
    output.finish()
    return int(ExitStatus.OK)
