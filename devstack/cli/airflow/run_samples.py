"""``devstack run --airflow``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from devstack.cli.flow_environment import flow_environment
from devstack.cli.output import Output

if TYPE_CHECKING:
    from devstack.deployers.airflow.suite import DagSuite
    from devstack.flows.source import FlowSource
    from devstack.samples.catalogue import Sample
    from devstack.stack import Stack

TIMES = ("run, seconds", "tasks", "scheduler")
"""What the columns of seconds are: the whole run, tasks at work, nothing at work."""


def run_on_airflow(
    output: Output,
    stack: Stack,
    sources: Sequence[FlowSource],
    samples: Sequence[Sample],
    arguments: Sequence[str],
    at_once: int,
    timeout: float | None,
) -> None:
    """Deploy flows, run them as DAGs, and check the samples among them.

    Args:
        output: where to print.
        stack: the stack.
        sources: flows of the user's own.
        samples: sample flows.
        arguments: parameters of the one flow in ``sources``.
        at_once: how many samples run at the same time.
        timeout: seconds that one run may take.

    Raises:
        DevstackError: one of them failed, or cannot be deployed.
    """
    from devstack.cli.sample_results import raise_failures, show_table
    from devstack.deployers.airflow.connect import open_airflow
    from devstack.deployers.airflow.suite import DagSuite
    from devstack.flows.suite import SAMPLE_SECONDS

    parameters = parse_arguments(arguments)
    airflow = open_airflow(stack)
    suite = DagSuite(airflow, flow_environment(stack), timeout or SAMPLE_SECONDS)
    for source in sources:
        _run_source(output, suite, source, parameters)
    if not samples:
        return
    outcomes = suite.run_samples(samples, at_once, output.progress())
    output.data(samples=[outcome.as_dict() for outcome in outcomes])
    show_table(output, outcomes, TIMES)
    raise_failures(output, outcomes, "devstack run --airflow")


def parse_arguments(words: Sequence[str]) -> dict[str, str]:
    """Turn a flow's parameters, as Metaflow's command line has them, into a table.

    Raises:
        click.UsageError: a word is neither ``--NAME VALUE`` nor ``--NAME=VALUE``.
    """
    parameters: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not (equals or rest):
            raise click.UsageError(f"{word!r}: behind `--` Airflow takes --NAME VALUE alone")
        parameters[name] = value if equals else rest.pop(0)
    return parameters


def _run_source(
    output: Output, suite: DagSuite, source: FlowSource, parameters: dict[str, str]
) -> None:
    from devstack.deployers.airflow.follow import failure_of

    deployment, result = suite.run_flow(source, parameters, output.progress().note)
    output.close_progress()
    output.data(**{**deployment.as_dict(), **result.as_dict()})
    if not result.ok:
        raise failure_of(suite.airflow, result)
    run = f"{deployment.flow}/{result.run.metaflow_id}"
    output.text(f"{run} succeeded in {result.run.seconds or 0.0:.1f} s")
