"""``devstack argo deploy``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from devstack.cli.deployments import show_deployment, show_python
from devstack.cli.flow_environment import flow_environment
from devstack.cli.flow_images import ensure_flow_images
from devstack.cli.options import config_option, json_option, pass_output, timeout_option
from devstack.cli.output import Output
from devstack.cli.passthrough_args import PASSTHROUGH_ARGS, FlowCommand
from devstack.config import load
from devstack.errors import ExitStatus
from devstack.schema import Deployment, dump

CREATE_OPTIONS = ("authorize", "new_token", "namespace", "max_workers")
"""Options of `argo-workflows create` with a value, which are passed unchanged."""


@click.command(
    "deploy",
    cls=FlowCommand,
    epilog="Examples: devstack argo deploy my_flow.py --schedule hourly"
    " | devstack argo deploy my_flow.py -- --with retry",
)
@click.argument("flow", metavar="FLOW.py", type=click.Path(path_type=Path))
@click.option("--name", "deployment", default="", metavar="NAME", help="Name of the deployment.")
@click.option("--project", default="", metavar="NAME", help="Require this @project.")
@click.option("--branch", default="", help="Branch of a @project.")
@click.option("--production", is_flag=True, help="Production branch of a @project.")
@click.option(
    "--schedule",
    default="",
    metavar="WHEN",
    help="hourly, daily, weekly, none or a cron expression.  [default: the flow's @schedule]",
)
@click.option("--paused", is_flag=True, help="Leave the schedule suspended.")
@click.option(
    "--max-workers", type=click.IntRange(1), help="Maximum number of concurrent tasks of a run."
)
@click.option(
    "--workflow-timeout",
    type=click.IntRange(1),
    metavar="SECONDS",
    help="Maximum duration of a run.",
)
@click.option("--tag", "tags", multiple=True, help="Tag of the runs; may be repeated.")
@click.option("--namespace", help="Metaflow namespace of the runs.")
@click.option("--authorize", metavar="TOKEN", help="Production token of an earlier deployment.")
@click.option("--new-token", metavar="TOKEN", help="Deploy under this production token.")
@click.option("--generate-new-token", is_flag=True, help="Deploy under a new production token.")
@click.option(
    "--python",
    default="",
    metavar="PATH",
    help="Python that compiles the flow.  [default: the active environment's, if it has Metaflow]",
)
@click.option("--stack", "name", metavar="NAME", envvar="DEVSTACK_NAME", help="Name of the stack.")
@timeout_option
@json_option
@config_option
@pass_output
def command(
    output: Output,
    flow: Path,
    python: str,
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
    from devstack.deployers.deploy import deploy
    from devstack.flows.python import find_python
    from devstack.progress import step
    from devstack.stack import open_stack

    options = _deploy_options(flow, chosen)
    stack = open_stack(load(config_file, name=name, timeout=timeout))
    deployer, env = open_deployer(stack), flow_environment(stack)
    flow_python = find_python(python, stack.runner, os.environ)
    show_python(output, flow_python)
    env = replace(env, python=flow_python.path)
    ensure_flow_images(output, stack, options.source, options.metaflow_options)
    progress = output.progress()
    with step(progress, f"Deploy {flow.name}"):
        deployment = deploy(deployer, options, env, stack.clock, progress.note)
    output.record(dump(Deployment, deployment))
    show_deployment(output, deployer.engine, deployment)
    output.finish()
    return int(ExitStatus.OK)


def _deploy_options(flow: Path, chosen: dict[str, Any]) -> Any:
    """Return what to deploy, from the options and the arguments after `--`."""
    from devstack.deployers.arguments import sort_arguments
    from devstack.deployers.base import DeployOptions
    from devstack.flows.source import read_source

    source = read_source(flow)
    passed = sort_arguments(source, click.get_current_context().meta.get(PASSTHROUGH_ARGS, []))
    if passed.parameters:
        raise click.UsageError(
            f"--{next(iter(passed.parameters))}: a run gets the parameters:"
            " devstack argo trigger --param NAME=VALUE"
        )
    return DeployOptions(
        source,
        name=chosen["deployment"],
        project=chosen["project"],
        branch=chosen["branch"],
        production=chosen["production"],
        schedule=chosen["schedule"],
        workflow_timeout=chosen["workflow_timeout"],
        paused=chosen["paused"],
        create_options=[*_create_options(chosen), *passed.create],
        metaflow_options=passed.metaflow,
    )


def _create_options(chosen: dict[str, Any]) -> list[str]:
    argv: list[str] = []
    for key in CREATE_OPTIONS:
        if chosen[key] is not None:
            argv += [f"--{key.replace('_', '-')}", str(chosen[key])]
    for tag in chosen["tags"]:
        argv += ["--tag", tag]
    return argv + (["--generate-new-token"] if chosen["generate_new_token"] else [])
