"""Options, tables and messages that the commands of all deployers share."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from devstack.schema import dump

if TYPE_CHECKING:
    from devstack.cli.output import Output
    from devstack.deployers.base import Deployer, Deployment, Run, RunT
    from devstack.flows.python import FlowPython

Command = TypeVar("Command", bound=Callable[..., int])


def parse_parameters(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Return the values of ``--param NAME=VALUE`` options by name."""
    parameters = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is not NAME=VALUE")
        parameters[name] = text
    return parameters


def parameters_option(
    help_text: str = "A parameter of the flow; may be repeated.",
) -> Callable[[Command], Command]:
    """Return the option ``--param NAME=VALUE``, whose values are ``parameters`` by name."""
    return click.option(
        "--param",
        "-p",
        "parameters",
        multiple=True,
        metavar="NAME=VALUE",
        callback=parse_parameters,
        help=help_text,
    )


wait_timeout_option = click.option(
    "--timeout", type=float, metavar="SECONDS", help="Maximum time for --wait."
)


def require_wait(wait: bool, timeout: float | None) -> None:
    """Refuse a limit of a wait that does not take place."""
    if timeout is not None and not wait:
        raise click.UsageError("--timeout limits --wait: add --wait, or omit --timeout")


def show_python(output: Output, python: FlowPython) -> None:
    """Print the interpreter that compiles a flow."""
    for warning in python.warnings:
        output.warn(warning)
    output.text(str(python))
    output.data(python={"path": python.path, "origin": python.origin, "metaflow": python.metaflow})


def show_deployment(output: Output, engine: str, deployment: Deployment) -> None:
    """Print a deployment and the next step."""
    schedule = f"schedule {deployment.schedule}" if deployment.schedule else "no schedule"
    paused = ", paused" if deployment.paused else ""
    output.text(
        f"{deployment.name} is deployed: {schedule}{paused}"
        f" (compiled in {deployment.compile_seconds:.1f} s,"
        f" parsed {deployment.deliver_seconds:.1f} s later)"
    )
    for pool in deployment.details.get("pools", ()):
        output.text(f"  created pool {pool}")
    output.text(f"  {deployment.url}")
    if not deployment.paused:
        output.text(f"\nNext: devstack {engine} trigger {deployment.name} --wait")


def wait_and_show(
    output: Output,
    deployer: Deployer[Any, RunT],
    run: RunT,
    structure: type,
    timeout: float | None,
) -> None:
    """Wait until a run ends, and print how it did.

    Args:
        output: prints.
        deployer: started the run.
        run: the run.
        structure: the ended run in the JSON, one of :mod:`devstack.schema`.
        timeout: maximum seconds to wait; unlimited if None.

    Raises:
        DevstackError: the run failed, or did not end in time.
    """
    result = deployer.follow(run, output.progress().note, timeout)
    output.close_progress()
    output.record(dump(structure, result))
    if not result.ok:
        raise deployer.failure(result)
    output.text(f"succeeded in {result.run.seconds or 0.0:.1f} s")


def show_runs(output: Output, heading: str, runs: Sequence[Run]) -> None:
    """Print a table of runs; ``heading`` is the column of the deployments' names."""
    width = max([len(run.name) for run in runs] + [len(heading)])
    output.text(
        f"{heading:<{width}}  {'STATE':<8} {'BEGAN':<14} {'SECONDS':>7}  {'METAFLOW RUN':<20} RUN"
    )
    for run in runs:
        seconds = f"{run.seconds:.1f}" if run.seconds is not None else ""
        output.text(
            f"{run.name:<{width}}  {run.state:<8} {_local_time(run.began):<14}"
            f" {seconds:>7}  {run.metaflow_id:<20} {run.run_id}"
        )


def _local_time(seconds: float | None) -> str:
    return time.strftime("%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else ""
