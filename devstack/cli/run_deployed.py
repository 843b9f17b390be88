"""``devstack run`` with a deployer: ``devstack run --airflow``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from devstack.cli.deployments import show_python
from devstack.cli.flow_environment import flow_environment
from devstack.cli.flow_images import ensure_flow_images
from devstack.cli.output import Output

if TYPE_CHECKING:
    from devstack.deployers.suite import DeployerSuite
    from devstack.flows.source import FlowSource
    from devstack.samples.catalogue import Sample
    from devstack.stack import Stack

TIMES = ("run, seconds", "tasks", "scheduler")
"""Columns of seconds: the whole run, running tasks, no running task."""


def run_on_airflow(
    output: Output,
    stack: Stack,
    sources: Sequence[FlowSource],
    samples: Sequence[Sample],
    arguments: Sequence[str],
    at_once: int,
    timeout: float | None,
    python: str,
    *,
    explicit: bool,
) -> None:
    """Deploy flows and run them as DAGs; check the results of samples.

    Args:
        output: prints.
        stack: the stack.
        sources: the user's flows.
        samples: sample flows.
        arguments: arguments of the only flow in ``sources``.
        at_once: maximum number of concurrent samples.
        timeout: maximum seconds for one run.
        python: the interpreter for the user's flows, as the user names it.
        explicit: True if the user named the samples, so that none may be left out.

    Raises:
        DevstackError: a flow failed, or cannot be deployed.
    """
    from devstack.cli.sample_results import raise_failures, show_table
    from devstack.deployers.airflow.deployer import open_deployer
    from devstack.deployers.airflow.other_delivery import require_deployable
    from devstack.deployers.suite import DeployerSuite
    from devstack.flows.python import find_python
    from devstack.flows.suite import SAMPLE_SECONDS
    from devstack.flows.target import runnable_on_airflow
    from devstack.schema import EndedDagRun, SampleOutcome, dump

    deployer = open_deployer(stack)
    require_deployable(stack)
    # After the checks above: what is wrong with the stack comes before what a sample needs of it.
    samples = runnable_on_airflow(samples, stack.state.airflow, explicit=explicit)
    suite = DeployerSuite(stack, deployer, flow_environment(stack), timeout or SAMPLE_SECONDS)
    if sources:
        flow_python = find_python(python, stack.runner, os.environ)
        show_python(output, flow_python)
        own = replace(suite, env=replace(suite.env, python=flow_python.path))
        for source in sources:
            ensure_flow_images(output, stack, source, arguments)
            _run_source(output, own, source, arguments)
    if not samples:
        return
    outcomes = suite.run_samples(samples, at_once, output.progress())
    output.data(samples=dump(list[SampleOutcome[EndedDagRun]], outcomes))
    show_table(output, outcomes, TIMES)
    raise_failures(output, outcomes, "devstack run --airflow")


def _run_source(
    output: Output, suite: DeployerSuite, source: FlowSource, arguments: Sequence[str]
) -> None:
    from devstack.deployers.arguments import sort_arguments
    from devstack.deployers.base import DeployOptions
    from devstack.schema import Deployment, EndedDagRun, dump

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
    output.record(dump(EndedDagRun, result))
    if not result.ok:
        raise suite.deployer.failure(result)
    run = f"{deployment.flow}/{result.run.metaflow_id}"
    output.text(f"{run} succeeded in {result.run.seconds or 0.0:.1f} s")
