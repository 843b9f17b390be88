"""``devstack argo deploy``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devstack.cli.argo.notifications import notification_options, refuse_notifications
from devstack.cli.deploy_options import (
    CREATE_OPTIONS,
    deploy_and_show,
    deployed_stack_option,
    limit_options,
    metaflow_options,
    prepare_compilation,
    read_options,
    target_options,
)
from devstack.cli.flow_environment import flow_environment
from devstack.cli.options import config_option, json_option, pass_output, timeout_option
from devstack.cli.output import Output
from devstack.cli.passthrough_args import FlowCommand
from devstack.config import load
from devstack.errors import ExitStatus

if TYPE_CHECKING:
    from devstack.deployers.argo.deployer import ArgoDeployer
    from devstack.deployers.base import DeployOptions
    from devstack.flows.environment import FlowEnvironment


@click.command(
    "deploy",
    cls=FlowCommand,
    epilog="Examples: devstack argo deploy my_flow.py --schedule hourly"
    " | devstack argo deploy my_flow.py -- --with retry",
)
@click.argument("flow", metavar="FLOW.py", type=click.Path(path_type=Path))
@click.option("--name", "deployment", default="", metavar="NAME", help="Name of the deployment.")
@target_options
@click.option("--paused", is_flag=True, help="Leave the schedule suspended.")
@limit_options
@metaflow_options
@notification_options
@click.option(
    "--only-compile",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Write the template to FILE, an existing folder or - for the output; deliver nothing.",
)
@deployed_stack_option
@timeout_option
@json_option
@config_option
@pass_output
def command(
    output: Output,
    flow: Path,
    deployment: str,
    python: str,
    only_compile: Path | None,
    config_file: Path | None,
    name: str | None,
    timeout: float | None,
    **chosen: Any,
) -> int:
    """Deploy the flow in FLOW.py as a template of Argo.

    The options are those of Metaflow's `argo-workflows create`; arguments after `--` go
    to Metaflow itself, such as `--with retry`. `--name` is the deployment's name here;
    use `--stack` for the stack.
    """
    from devstack.deployers.argo.deployer import open_deployer
    from devstack.stack import open_stack

    refuse_notifications(chosen)
    options = read_options("argo", flow, deployment, chosen, CREATE_OPTIONS)
    stack = open_stack(load(config_file, name=name, timeout=timeout))
    deployer, env = open_deployer(stack), flow_environment(stack)
    show = str(only_compile) != "-"
    env = prepare_compilation(output, stack, options, env, python, show=show)
    if only_compile is None:
        deploy_and_show(output, stack, deployer, options, env)
    else:
        _compile_and_show(output, deployer, options, env, only_compile)
    output.finish()
    return int(ExitStatus.OK)


def _compile_and_show(
    output: Output,
    deployer: ArgoDeployer,
    options: DeployOptions,
    env: FlowEnvironment,
    target: Path,
) -> None:
    """Compile a flow, and write or print its template."""
    from devstack.progress import step

    with step(output.progress(), f"Compile {options.source.path.name}"):
        compiled = deployer.compile(options, env)
    if str(target) == "-":
        output.data(name=compiled.name, manifests=deployer.render(compiled))
        output.text(deployer.render(compiled))
        return
    path = deployer.write(compiled, target)
    output.data(name=compiled.name, file=str(path))
    output.text(f"{compiled.name} is compiled: {path}")
