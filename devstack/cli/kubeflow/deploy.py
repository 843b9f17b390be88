"""``devstack kubeflow deploy``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

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


@click.command(
    "deploy",
    cls=FlowCommand,
    epilog="Examples: devstack kubeflow deploy my_flow.py --schedule hourly"
    " | devstack kubeflow deploy my_flow.py -- --with retry",
)
@click.argument("flow", metavar="FLOW.py", type=click.Path(path_type=Path))
@click.option("--name", "deployment", default="", metavar="NAME", help="Name of the deployment.")
@target_options
@click.option("--paused", is_flag=True, help="Leave the schedule suspended.")
@limit_options
@metaflow_options
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
    config_file: Path | None,
    name: str | None,
    timeout: float | None,
    **chosen: Any,
) -> int:
    """Deploy the flow in FLOW.py as a pipeline of Kubeflow.

    The options are those of Metaflow's `kubeflow-pipelines create`; arguments after `--`
    go to Metaflow itself, such as `--with retry`. `--name` is the deployment's name here;
    use `--stack` for the stack. The Python needs the package metaflow-kubeflow.
    """
    from devstack.deployers.kubeflow.deployer import open_deployer
    from devstack.stack import open_stack

    options = read_options("kubeflow", flow, deployment, chosen, CREATE_OPTIONS)
    stack = open_stack(load(config_file, name=name, timeout=timeout))
    deployer, env = open_deployer(stack), flow_environment(stack)
    env = prepare_compilation(output, stack, options, env, python)
    deploy_and_show(output, stack, deployer, options, env)
    output.finish()
    return int(ExitStatus.OK)
