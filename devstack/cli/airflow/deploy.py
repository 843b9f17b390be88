"""``devstack airflow deploy``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devstack.cli.flow_environment import flow_environment
from devstack.cli.options import config_option, json_option, pass_output, timeout_option
from devstack.cli.output import Output
from devstack.cli.passthrough_args import PASSTHROUGH_ARGS, FlowCommand
from devstack.config import load
from devstack.errors import ExitStatus

if TYPE_CHECKING:
    from devstack.deployers.airflow.deploy import Deployment

CREATE_OPTIONS = ("authorize", "new_token", "namespace", "max_workers", "worker_pool")
"""Options of `airflow create` that take one value and are handed on as they are."""


@click.command(
    "deploy",
    cls=FlowCommand,
    epilog="Examples: devstack airflow deploy my_flow.py --schedule hourly"
    " | devstack airflow deploy my_flow.py -- --with retry",
)
@click.argument("flow", metavar="FLOW.py", type=click.Path(path_type=Path))
@click.option("--name", "dag_name", default="", metavar="DAG", help="Name of the DAG.")
@click.option("--project", default="", metavar="NAME", help="Refuse a flow of another @project.")
@click.option("--branch", default="", help="Branch of a @project.")
@click.option("--production", is_flag=True, help="Production branch of a @project.")
@click.option(
    "--schedule",
    default="",
    metavar="WHEN",
    help="hourly, daily, weekly, none or a cron expression.  [default: the flow's @schedule]",
)
@click.option(
    "--paused",
    "--is-paused-upon-creation",
    "paused",
    is_flag=True,
    help="Leave the DAG paused.",
)
@click.option("--max-workers", type=int, help="Tasks of one run at once.")
@click.option("--workflow-timeout", type=int, metavar="SECONDS", help="How long a run may take.")
@click.option("--worker-pool", metavar="POOL", help="Pool of task slots; made if it is missing.")
@click.option("--tag", "tags", multiple=True, help="Tag for the runs; may be repeated.")
@click.option("--namespace", help="Metaflow's namespace of the runs.")
@click.option("--authorize", metavar="TOKEN", help="Production token of an earlier deployment.")
@click.option("--new-token", metavar="TOKEN", help="Deploy under this production token.")
@click.option("--generate-new-token", is_flag=True, help="Deploy under a new production token.")
@click.option(
    "--stack", "name", metavar="NAME", envvar="DEVSTACK_NAME", help="The stack, of several."
)
@timeout_option
@json_option
@config_option
@pass_output
def command(
    output: Output,
    flow: Path,
    dag_name: str,
    project: str,
    branch: str,
    production: bool,
    schedule: str,
    paused: bool,
    workflow_timeout: int | None,
    tags: tuple[str, ...],
    generate_new_token: bool,
    config_file: Path | None,
    name: str | None,
    timeout: float | None,
    **create: Any,
) -> int:
    """Make a DAG of the flow in FLOW.py, and wait until the scheduler knows it.

    The options are those of Metaflow's `airflow create`; what follows `--` goes
    to Metaflow itself, such as `--with retry`. As `--name` names the DAG here,
    `--stack` names the stack.
    """
    from devstack.deployers.airflow.compile import CompileCall
    from devstack.deployers.airflow.connect import open_airflow
    from devstack.deployers.airflow.deploy import deploy
    from devstack.deployers.airflow.patches import DagOverrides
    from devstack.flows.source import read_source
    from devstack.progress import step
    from devstack.stack import open_stack

    source = read_source(flow)
    stack = open_stack(load(config_file, name=name, timeout=timeout))
    airflow, env = open_airflow(stack), flow_environment(stack)
    call = CompileCall(
        source,
        dag_name=dag_name,
        branch=branch,
        production=production,
        paused=paused,
        wanted=DagOverrides(schedule, workflow_timeout, project),
        options=_create_options(create, tags, generate_new_token),
        metaflow=click.get_current_context().meta.get(PASSTHROUGH_ARGS, []),
    )
    progress = output.progress()
    with step(progress, f"Deploy {source.path.name}"):
        deployment = deploy(call, env, airflow, progress.note)
    output.data(**deployment.as_dict())
    _tell(output, deployment)
    output.finish()
    return int(ExitStatus.OK)


def _create_options(
    create: dict[str, Any], tags: tuple[str, ...], generate_new_token: bool
) -> list[str]:
    words: list[str] = []
    for key in CREATE_OPTIONS:
        if create[key] is not None:
            words += [f"--{key.replace('_', '-')}", str(create[key])]
    for tag in tags:
        words += ["--tag", tag]
    return words + (["--generate-new-token"] if generate_new_token else [])


def _tell(output: Output, deployment: Deployment) -> None:
    starts = f"schedule {deployment.schedule}" if deployment.schedule else "no schedule"
    output.text(
        f"{deployment.dag_id} is deployed: {starts}{', paused' if deployment.paused else ''}"
        f" (compiled in {deployment.compile_seconds:.1f} s,"
        f" parsed {deployment.parse_seconds:.1f} s later)"
    )
    for pool in deployment.pools:
        output.text(f"  made the pool {pool}")
    output.text(f"  {deployment.url}")
    if not deployment.paused:
        output.text(f"\nNext: devstack airflow trigger {deployment.dag_id} --wait")
