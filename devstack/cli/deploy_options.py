"""Options and steps that `devstack ENGINE deploy` has for every engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from devstack.cli.deployments import show_deployment, show_python
from devstack.cli.flow_images import ensure_flow_images
from devstack.cli.output import Output
from devstack.cli.passthrough_args import PASSTHROUGH_ARGS
from devstack.schema import Deployment, dump

if TYPE_CHECKING:
    from devstack.deployers.base import Deployer, DeployOptions
    from devstack.flows.environment import FlowEnvironment
    from devstack.stack import Stack

Command = TypeVar("Command", bound=Callable[..., int])

CREATE_OPTIONS = ("authorize", "new_token", "namespace", "max_workers")
"""Options of Metaflow's `create` with a value, which are passed unchanged."""


def _group(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Return a decorator that adds options in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


target_options = _group(
    click.option("--project", default="", metavar="NAME", help="Require this @project."),
    click.option("--branch", default="", help="Branch of a @project."),
    click.option("--production", is_flag=True, help="Production branch of a @project."),
    click.option(
        "--schedule",
        default="",
        metavar="WHEN",
        help="hourly, daily, weekly, none or a cron expression.  [default: the flow's @schedule]",
    ),
)
limit_options = _group(
    click.option(
        "--max-workers",
        type=click.IntRange(1),
        help="Maximum number of concurrent tasks of a run.",
    ),
    click.option(
        "--workflow-timeout",
        type=click.IntRange(1),
        metavar="SECONDS",
        help="Maximum duration of a run.",
    ),
)
metaflow_options = _group(
    click.option("--tag", "tags", multiple=True, help="Tag of the runs; may be repeated."),
    click.option("--namespace", help="Metaflow namespace of the runs."),
    click.option("--authorize", metavar="TOKEN", help="Production token of an earlier deployment."),
    click.option("--new-token", metavar="TOKEN", help="Deploy under this production token."),
    click.option("--generate-new-token", is_flag=True, help="Deploy under a new production token."),
    click.option(
        "--python",
        default="",
        metavar="PATH",
        help="Python that compiles the flow.  "
        "[default: the active environment's, if it has Metaflow]",
    ),
)
deployed_stack_option = click.option(
    "--stack", "name", metavar="NAME", envvar="DEVSTACK_NAME", help="Name of the stack."
)
"""``--name`` is that of the deployment."""


def read_options(
    engine: str, flow: Path, name: str, chosen: Mapping[str, Any], create_options: Sequence[str]
) -> DeployOptions:
    """Return what to deploy, from the options and the arguments after `--`.

    Args:
        engine: the engine, as in ``devstack ENGINE trigger``.
        flow: the flow's file.
        name: the deployment's name; the flow's if empty.
        chosen: the values of the options above, and ``paused``.
        create_options: names of the options that Metaflow's `create` gets unchanged.

    Raises:
        UsageError: an argument is a parameter of the flow.
        DevstackError: a file that is no flow.
    """
    from devstack.deployers.arguments import sort_arguments
    from devstack.deployers.base import DeployOptions
    from devstack.flows.source import read_source

    source = read_source(flow)
    passed = sort_arguments(source, click.get_current_context().meta.get(PASSTHROUGH_ARGS, []))
    if passed.parameters:
        raise click.UsageError(
            f"--{next(iter(passed.parameters))}: a run gets the parameters:"
            f" devstack {engine} trigger --param NAME=VALUE"
        )
    return DeployOptions(
        source,
        name=name,
        project=chosen["project"],
        branch=chosen["branch"],
        production=chosen["production"],
        schedule=chosen["schedule"],
        workflow_timeout=chosen["workflow_timeout"],
        paused=chosen["paused"],
        create_options=[*_create_argv(chosen, create_options), *passed.create],
        metaflow_options=passed.metaflow,
    )


def _create_argv(chosen: Mapping[str, Any], create_options: Sequence[str]) -> list[str]:
    argv: list[str] = []
    for key in create_options:
        if chosen[key] is not None:
            argv += [f"--{key.replace('_', '-')}", str(chosen[key])]
    for tag in chosen["tags"]:
        argv += ["--tag", tag]
    return argv + (["--generate-new-token"] if chosen["generate_new_token"] else [])


def prepare_compilation(
    output: Output,
    stack: Stack,
    options: DeployOptions,
    env: FlowEnvironment,
    python: str,
    *,
    show: bool = True,
) -> FlowEnvironment:
    """Choose the interpreter that compiles a flow, and put the flow's images on the nodes.

    Args:
        output: prints.
        stack: the stack.
        options: the flow, and how to compile it.
        env: the environment of the flow's process.
        python: the interpreter that the user chose; empty for none.
        show: False if only the compiled flow is to be printed.

    Returns:
        The environment with the interpreter.
    """
    from devstack.flows.python import find_python

    flow_python = find_python(python, stack.runner, os.environ)
    if show:
        show_python(output, flow_python)
    ensure_flow_images(output, stack, options.source, options.metaflow_options)
    return replace(env, python=flow_python.path)


def deploy_and_show(
    output: Output,
    stack: Stack,
    deployer: Deployer[Any, Any],
    options: DeployOptions,
    env: FlowEnvironment,
) -> None:
    """Deploy a flow, and print the deployment."""
    from devstack.deployers.deploy import deploy
    from devstack.progress import step

    progress = output.progress()
    with step(progress, f"Deploy {options.source.path.name}"):
        deployment = deploy(deployer, options, env, stack.clock, progress.note)
    output.record(dump(Deployment, deployment))
    show_deployment(output, deployer.engine, deployment)
