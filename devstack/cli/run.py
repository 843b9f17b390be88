"""``devstack run``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devstack.cli.deployments import show_python
from devstack.cli.flow_environment import flow_environment
from devstack.cli.flow_images import ensure_flow_images, with_pull_policy
from devstack.cli.options import pass_output, stack_options, verbose_option
from devstack.cli.output import Output
from devstack.cli.passthrough_args import PASSTHROUGH_ARGS, FlowCommand
from devstack.cli.run_deployed import engine_options, pop_engine, run_deployed
from devstack.config import load
from devstack.errors import ExitStatus

if TYPE_CHECKING:
    from devstack.flows.environment import FlowEnvironment
    from devstack.flows.python import FlowPython
    from devstack.flows.source import FlowSource
    from devstack.samples.catalogue import Sample
    from devstack.stack import Stack


def _complete_samples(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[Any]:
    from click.shell_completion import CompletionItem

    from devstack.samples.catalogue import SAMPLES

    found = [
        CompletionItem(sample.name, help=sample.shows)
        for sample in SAMPLES
        if sample.name.startswith(incomplete)
    ]
    return [*found, CompletionItem(incomplete, type="file")]


@click.command(
    "run",
    cls=FlowCommand,
    epilog="Examples: devstack run hello parallel | devstack run my_flow.py -- --n 3",
    options_metavar="[OPTIONS]",
)
@click.argument("names", nargs=-1, metavar="[FLOW]...", shell_complete=_complete_samples)
@click.option("--sample", "named", multiple=True, metavar="NAME", help="A sample flow, by name.")
@click.option("--list", "listing", is_flag=True, help="List the sample flows.")
@click.option("--local", is_flag=True, help="Keep steps without @kubernetes on this machine.")
@engine_options
@click.option(
    "-j",
    "--at-once",
    type=click.IntRange(1, 16),
    default=2,
    help="Samples in parallel.  [default: 2]",
)
@click.option(
    "--python",
    default="",
    metavar="PATH",
    help="Python for your own flows.  [default: the active environment's, if it has Metaflow]",
)
@click.option("--timeout", type=float, metavar="SECONDS", help="Stop a flow that takes longer.")
@verbose_option
@stack_options
@pass_output
def command(
    output: Output,
    names: tuple[str, ...],
    named: tuple[str, ...],
    listing: bool,
    local: bool,
    at_once: int,
    python: str,
    timeout: float | None,
    config_file: Path | None,
    **chosen: Any,
) -> int:
    """Run sample flows, or your own, on the stack.

    FLOW is a sample's name or a Python file; by default all samples run and
    their results are checked. Arguments after `--` are passed to the flow: its
    parameters, Metaflow's own options, or another command of Metaflow, such as
    resume or show. The steps of your flows run on the cluster. With --local,
    those without @kubernetes run on this machine, as they do in samples. With
    --airflow, --argo or --kubeflow each flow is deployed to that engine and run by
    it; each engine has samples of its own.
    """
    from devstack.flows.arguments import parse_arguments
    from devstack.flows.target import find_targets, runnable
    from devstack.samples.catalogue import ENGINE_SAMPLES, SAMPLES
    from devstack.stack import open_stack

    engine = pop_engine(chosen)
    known = ENGINE_SAMPLES[engine.name] if engine else SAMPLES
    if listing:
        return _list_samples(output, known)
    targets = find_targets(names, named, known)
    arguments: list[str] = click.get_current_context().meta.get(PASSTHROUGH_ARGS, [])
    sources = list(targets.sources)
    samples = list(targets.samples)
    if arguments:
        sources, samples = _with_arguments(sources, samples), []
    stack = open_stack(load(config_file, **chosen))
    if engine and local:
        raise click.UsageError(f"--local does not apply to --{engine.name}")
    explicit = bool(names or named)
    if engine:
        run_deployed(
            output,
            stack,
            engine,
            sources,
            samples,
            arguments,
            at_once,
            timeout,
            python,
            explicit=explicit,
        )
        output.finish()
        return int(ExitStatus.OK)
    samples = runnable(samples, stack.disabled, explicit=explicit)
    env = flow_environment(stack)
    if sources:
        flow_python = _find_python(stack, python, is_sample=bool(targets.samples))
        own_env = replace(env, python=flow_python.path)
        if arguments and not parse_arguments(sources[0], arguments).starts_run:
            return _pass_through(output, sources[0], arguments, own_env)
        show_python(output, flow_python)
    as_sample = local or bool(targets.samples)
    for source in sources:
        images = ensure_flow_images(output, stack, source, arguments)
        flow_env = with_pull_policy(stack, own_env, images)
        _run_source(output, stack, source, arguments, flow_env, local=as_sample, timeout=timeout)
    if samples:
        _run_samples(output, samples, env, at_once, timeout)
    output.finish()
    return int(ExitStatus.OK)


def _find_python(stack: Stack, chosen: str, *, is_sample: bool) -> FlowPython:
    """Return the Python for flows; a sample needs no package of the user's."""
    from devstack.flows.python import find_python, own_python

    if is_sample and not chosen:
        return own_python()
    return find_python(chosen, stack.runner, os.environ)


def _pass_through(
    output: Output, source: FlowSource, arguments: list[str], env: FlowEnvironment
) -> int:
    """Run a command of Metaflow that starts no run, with its own output and exit status."""
    from devstack.cli.exec_command import capture_command, exec_command
    from devstack.flows.command import build_argv

    argv = build_argv(env.python, source, arguments)
    if not output.as_json:
        exec_command(argv, env.variables())
    return capture_command(output, argv, env.variables())


def _with_arguments(sources: list[FlowSource], samples: list[Sample]) -> list[FlowSource]:
    """Return the one flow that gets the arguments; a sample then runs like a user's flow."""
    from devstack.flows.source import read_source

    flows = [*sources, *(read_source(sample.file) for sample in samples)]
    if len(flows) != 1:
        raise click.UsageError("arguments after `--` are for one flow; name only one")
    return flows


def _list_samples(output: Output, known: Sequence[Sample]) -> int:
    output.data(samples=[{"name": each.name, "shows": each.shows} for each in known])
    for sample in known:
        output.text(f"{sample.name:<14} {sample.shows}")
    output.finish()
    return int(ExitStatus.OK)


def _run_source(
    output: Output,
    stack: Stack,
    source: FlowSource,
    arguments: list[str],
    env: FlowEnvironment,
    *,
    local: bool,
    timeout: float | None,
) -> None:
    from devstack.flows.arguments import parse_arguments
    from devstack.flows.failure import failure_of
    from devstack.flows.placement import describe_places, place_steps
    from devstack.flows.pod_values import find_expansions
    from devstack.flows.run import FlowCall, run_flow
    from devstack.lifecycle.added_images import supply_image
    from devstack.schema import FlowRun, dump

    parsed = parse_arguments(source, arguments)
    for option, value in parsed.values_of("--datastore", "--metadata"):
        if value == "local":
            what = "artifacts are" if option == "--datastore" else "the run's record is"
            output.warn(f"{option} {value}: {what} not in the stack")
    if parsed.is_spin:
        output.warn("--mode spin: the run's record and its artifacts are not in the stack")
    placement = place_steps(source, parsed, env.variables(), local=local)
    for warning in find_expansions(source, placement):
        output.warn(warning)
    output.text(str(placement))
    progress = output.progress()
    call = FlowCall(
        source,
        arguments,
        local=local,
        timeout=timeout,
        on_line=progress.line,
        note=progress.note,
        report=progress.warn,
        supply_image=lambda image: supply_image(stack, image),
    )
    result = run_flow(call, env)
    output.close_progress()
    output.record(dump(FlowRun, result))
    if not result.ok:
        raise failure_of(result)
    places = describe_places(result.places, result.pods)
    # Nothing ran if `resume` copied each step of the run before.
    ending = f"; {places}" if places else ""
    output.text(f"\n{result.pathspec} succeeded in {result.timing.total:.1f} s{ending}")


def _run_samples(
    output: Output,
    samples: list[Sample],
    env: FlowEnvironment,
    at_once: int,
    timeout: float | None,
) -> None:
    from devstack.cli.sample_results import raise_failures, show_table
    from devstack.flows.placement import describe_places
    from devstack.flows.result import FlowResult
    from devstack.flows.suite import SAMPLE_SECONDS, Suite
    from devstack.process import SubprocessRunner
    from devstack.schema import FlowRun, SampleOutcome, dump

    suite = Suite(env, SubprocessRunner(), timeout or SAMPLE_SECONDS)
    outcomes = suite.run_samples(samples, at_once, output.progress())
    output.data(samples=dump(list[SampleOutcome[FlowRun]], outcomes))
    show_table(output, outcomes)
    result = outcomes[0].result
    if len(outcomes) == 1 and isinstance(result, FlowResult):
        output.text(f"Steps {describe_places(result.places, result.pods)}")
    raise_failures(output, outcomes)
