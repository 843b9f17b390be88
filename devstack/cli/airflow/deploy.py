"""``devstack airflow deploy``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import select_installation
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
    epilog="Examples: devstack airflow deploy my_flow.py --schedule hourly"
    " | devstack airflow deploy my_flow.py -- --with retry",
)
@click.argument("flow", metavar="FLOW.py", type=click.Path(path_type=Path))
@click.option("--name", "dag_name", default="", metavar="DAG", help="Name of the DAG.")
@target_options
@click.option(
    "--paused",
    "--is-paused-upon-creation",
    "paused",
    is_flag=True,
    help="Leave the DAG paused.",
)
@limit_options
@click.option("--worker-pool", metavar="POOL", help="Pool of the tasks; created if missing.")
@metaflow_options
@click.option(
    "--only-compile",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the DAG's file to FILE, or into an existing folder; deliver nothing.",
)
@deployed_stack_option
@timeout_option
@json_option
@config_option
@pass_output
def command(
    output: Output,
    flow: Path,
    dag_name: str,
    python: str,
    only_compile: Path | None,
    config_file: Path | None,
    name: str | None,
    timeout: float | None,
    **chosen: Any,
) -> int:
    """Deploy the flow in FLOW.py as a DAG, and wait until the scheduler has parsed it.

    The options are those of Metaflow's `airflow create`; arguments after `--` go
    to Metaflow itself, such as `--with retry`. `--name` is the DAG's name here;
    use `--stack` for the stack.
    """
    from devstack.deployers.airflow.deployer import open_deployer
    from devstack.deployers.airflow.other_delivery import require_deployable
    from devstack.progress import step
    from devstack.stack import open_stack

    options = read_options("airflow", flow, dag_name, chosen, (*CREATE_OPTIONS, "worker_pool"))
    stack = select_installation(open_stack(load(config_file, name=name, timeout=timeout)))
    deployer, env = open_deployer(stack), flow_environment(stack)
    if only_compile is None:
        require_deployable(stack)
    env = prepare_compilation(output, stack, options, env, python)
    if only_compile is not None:
        with step(output.progress(), f"Compile {flow.name}"):
            compiled = deployer.compile(options, env)
            path = deployer.write(compiled, only_compile)
        output.data(dag_id=compiled.dag_id, file=str(path))
        output.text(f"{compiled.dag_id} is compiled: {path}")
        output.finish()
        return int(ExitStatus.OK)
    deploy_and_show(output, stack, deployer, options, env)
    output.finish()
    return int(ExitStatus.OK)
