"""``devstack run`` with a deployer: ``--airflow``, ``--argo``, ``--kubeflow``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from devstack.cli.deployments import show_python
from devstack.cli.flow_environment import flow_environment
from devstack.cli.flow_images import ensure_flow_images
from devstack.cli.output import Output

if TYPE_CHECKING:
    from devstack.deployers.base import Deployer
    from devstack.deployers.suite import DeployerSuite
    from devstack.flows.source import FlowSource
    from devstack.flows.target import Selection
    from devstack.samples.catalogue import Sample
    from devstack.stack import Stack

Command = TypeVar("Command", bound=Callable[..., int])

TIMES = ("run, seconds", "tasks", "engine")
"""Columns of seconds: the whole run, running tasks, no running task."""


@dataclass(frozen=True)
class Engine:
    """What ``devstack run --NAME`` needs to know of an engine.

    Attributes:
        name: as in ``devstack NAME deploy``.
        about: the help of the option.
        open: returns the deployer, if flows can be deployed to the stack.
        select: returns which samples the stack can run.
        structures: returns those of an ended run and of samples in the JSON, of
            :mod:`devstack.schema`.
        deletes_samples: see :class:`devstack.deployers.suite.DeployerSuite`.
        user_python: True if Metaflow's compiler is a package that devstack's own environment does
            not have, so that the user's Python compiles samples too.
    """

    name: str
    about: str
    open: Callable[[Stack], Deployer[Any, Any]]
    select: Callable[[Sequence[Sample], Stack], Selection]
    structures: Callable[[], tuple[Any, Any]]
    deletes_samples: bool
    user_python: bool = False


def _open_airflow(stack: Stack) -> Deployer[Any, Any]:
    from devstack.deployers.airflow.deployer import open_deployer
    from devstack.deployers.airflow.other_delivery import require_deployable

    deployer = open_deployer(stack)
    require_deployable(stack)
    return deployer


def _select_airflow(samples: Sequence[Sample], stack: Stack) -> Selection:
    from devstack.flows.target import select_for_airflow

    return select_for_airflow(samples, stack.state.airflow)


def _airflow_structures() -> tuple[Any, Any]:
    from devstack.schema import EndedDagRun, SampleOutcome

    return EndedDagRun, list[SampleOutcome[EndedDagRun]]


def _open_argo(stack: Stack) -> Deployer[Any, Any]:
    from devstack.deployers.argo.deployer import open_deployer

    return open_deployer(stack)


def _open_kubeflow(stack: Stack) -> Deployer[Any, Any]:
    from devstack.deployers.kubeflow.deployer import open_deployer

    return open_deployer(stack)


def _select_by_service(samples: Sequence[Sample], stack: Stack) -> Selection:
    from devstack.flows.target import select_by_service

    return select_by_service(samples, [service.name for service in stack.services])


def _argo_structures() -> tuple[Any, Any]:
    from devstack.schema import EndedWorkflow, SampleOutcome

    return EndedWorkflow, list[SampleOutcome[EndedWorkflow]]


ENGINES = (
    Engine(
        "airflow",
        "Run as DAGs on the stack's Airflow.",
        _open_airflow,
        _select_airflow,
        _airflow_structures,
        deletes_samples=False,
    ),
    Engine(
        "argo",
        "Run as workflows on the stack's Argo.",
        _open_argo,
        _select_by_service,
        _argo_structures,
        deletes_samples=True,
    ),
    Engine(
        "kubeflow",
        "Run as pipelines on the stack's Kubeflow Pipelines.",
        _open_kubeflow,
        _select_by_service,
        # Its runs are workflows, too.
        _argo_structures,
        deletes_samples=True,
        user_python=True,
    ),
)
"""The engines that `devstack run` deploys to."""


def engine_options(command: Command) -> Command:
    """Add a flag for each engine, whose value is ``on_NAME``."""
    for engine in reversed(ENGINES):
        option = click.option(
            f"--{engine.name}", f"on_{engine.name}", is_flag=True, help=engine.about
        )
        command = option(command)
    return command


def pop_engine(chosen: dict[str, Any]) -> Engine | None:
    """Remove the flags of :func:`engine_options`; return the engine that the user chose.

    Raises:
        UsageError: there are several.
    """
    found = [engine for engine in ENGINES if chosen.pop(f"on_{engine.name}")]
    if len(found) > 1:
        names = " and ".join(f"--{engine.name}" for engine in found)
        raise click.UsageError(f"choose one of {names}: a flow runs on one engine at a time")
    return found[0] if found else None


def run_deployed(
    output: Output,
    stack: Stack,
    engine: Engine,
    sources: Sequence[FlowSource],
    samples: Sequence[Sample],
    arguments: Sequence[str],
    at_once: int,
    timeout: float | None,
    python: str,
    *,
    explicit: bool,
) -> None:
    """Deploy flows and run them once; check the results of samples.

    Args:
        output: prints.
        stack: the stack.
        engine: the engine.
        sources: the user's flows.
        samples: sample flows.
        arguments: arguments of the only flow in ``sources``.
        at_once: maximum number of concurrent samples.
        timeout: maximum seconds for one run.
        python: the interpreter for the user's flows, and for samples of engines whose compiler is
            a package of its own; as the user names it.
        explicit: True if the user named the samples, so that none may be left out.

    Raises:
        DevstackError: a flow failed, or cannot be deployed.
    """
    from devstack.cli.sample_results import raise_failures, show_table
    from devstack.deployers.suite import DeployerSuite
    from devstack.flows.python import find_python
    from devstack.flows.suite import SAMPLE_SECONDS
    from devstack.schema import dump

    deployer: Any = engine.open(stack)
    # After the checks above: what is wrong with the stack comes before what a sample needs of it.
    samples = _select(output, engine, samples, stack, explicit=explicit)
    flow_python = None
    if sources or (samples and engine.user_python):
        flow_python = find_python(python, stack.runner, os.environ)
        show_python(output, flow_python)
    if flow_python and engine.user_python:
        deployer = replace(deployer, python=flow_python.path)
    suite = DeployerSuite(
        stack,
        deployer,
        flow_environment(stack),
        timeout or SAMPLE_SECONDS,
        deletes_samples=engine.deletes_samples,
    )
    structure, outcomes_structure = engine.structures()
    if sources and flow_python:
        own = replace(suite, env=replace(suite.env, python=flow_python.path))
        for source in sources:
            ensure_flow_images(output, stack, source, arguments)
            _run_source(output, own, source, arguments, structure)
    if not samples:
        return
    outcomes = suite.run_samples(samples, at_once, output.progress())
    output.data(samples=dump(outcomes_structure, outcomes))
    show_table(output, outcomes, TIMES)
    raise_failures(output, outcomes, f"devstack run --{engine.name}")


def _select(
    output: Output,
    engine: Engine,
    samples: Sequence[Sample],
    stack: Stack,
    *,
    explicit: bool,
) -> Sequence[Sample]:
    """Return the samples that the stack can run; say which ones it leaves out.

    Raises:
        DevstackError: ``SAMPLE_UNSUPPORTED``: the user named one of those.
    """
    selection = engine.select(samples, stack)
    if explicit:
        selection.require_all()
    for each in selection.left_out:
        output.text(f"{each.sample.name} is left out: {each.cause}; {each.remedy}")
    if selection.left_out:
        output.data(
            left_out=[
                {"name": each.sample.name, "cause": each.cause, "remedy": each.remedy}
                for each in selection.left_out
            ]
        )
    return selection.samples


def _run_source(
    output: Output,
    suite: DeployerSuite,
    source: FlowSource,
    arguments: Sequence[str],
    structure: type,
) -> None:
    from devstack.deployers.arguments import sort_arguments
    from devstack.deployers.base import DeployOptions
    from devstack.schema import Deployment, dump

    passed = sort_arguments(source, arguments)
    options = DeployOptions(
        source,
        create_options=passed.create,
        metaflow_options=passed.metaflow,
        parameters=passed.parameters,
    )
    deployment, result = suite.run_flow(options, output.progress().note)
    output.close_progress()
    output.record(dump(Deployment, deployment))
    output.record(dump(structure, result))
    if not result.ok:
        raise suite.deployer.failure(result)
    run = f"{deployment.flow}/{result.run.metaflow_id}"
    output.text(f"{run} succeeded in {result.run.seconds or 0.0:.1f} s")
