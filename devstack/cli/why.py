"""``devstack why``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load
from devstack.errors import ExitStatus

if TYPE_CHECKING:
    from devstack.errors import DevstackError
    from devstack.stack import Stack
    from devstack.why.answer import Answer


def _complete_subjects(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    from devstack.errors import DevstackError
    from devstack.stack import open_stack
    from devstack.why.subject import active_jobsets

    try:
        stack = open_stack(load(name=context.params.get("name")))
        names = active_jobsets(stack.kube(), stack.state.namespace)
    except DevstackError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def _explain(stack: Stack, subject: str, namespace: str) -> Answer:
    """Explain a workload of this name, or else a run of an engine."""
    from devstack.errors import DevstackError
    from devstack.why.explain import explain
    from devstack.why.subject import find_subject

    kube = stack.kube()
    try:
        found = find_subject(kube, subject, namespace)
    except DevstackError as unknown:
        return _explain_run(stack, subject, unknown)
    return explain(kube, found)


def _explain_run(stack: Stack, name: str, unknown: DevstackError) -> Answer:
    """Explain a run; raise the error for an unknown workload if no engine has such a run."""
    from devstack.errors import DevstackError

    enabled = {service.name for service in stack.services}
    engines = [engine for engine in _EXPLAINERS if engine in enabled]
    for engine in engines:
        try:
            return _EXPLAINERS[engine](stack, name)
        except DevstackError as error:
            if error.code != "RUN_UNKNOWN":
                raise
    if engines:
        names = " or ".join(sorted(engine.capitalize() for engine in engines))
        unknown.message = unknown.message.replace("or pod", f"or pod, and no run of {names},")
    raise unknown


def _explain_dag_run(stack: Stack, name: str) -> Answer:
    from devstack.deployers.airflow.deployer import open_deployer
    from devstack.deployers.airflow.explain import explain_run

    return explain_run(stack, open_deployer(stack).client, name)


def _explain_workflow(stack: Stack, name: str) -> Answer:
    from devstack.deployers.argo.explain import explain_run

    return explain_run(stack, name)


def _explain_pipeline_run(stack: Stack, name: str) -> Answer:
    from devstack.deployers.kubeflow.explain import explain_run

    return explain_run(stack, name)


_EXPLAINERS: Mapping[str, Callable[[Stack, str], Answer]] = {
    # First, because it needs nothing but the cluster's API.
    "argo": _explain_workflow,
    "airflow": _explain_dag_run,
    "kubeflow": _explain_pipeline_run,
}
"""What explains a run, by the engine's service."""


@click.command(
    "why",
    epilog="Examples: devstack why js-1a2b3c | devstack why pod/t-1a2b3c-x7x8z"
    " | devstack why MyFlow/start",
)
@click.argument(
    "subject", metavar="JOBSET|JOB|POD|RUN|NAME/TASK", shell_complete=_complete_subjects
)
@click.option("--namespace", "-n", help="The workload's namespace.  [default: the stack's]")
@stack_options
@pass_output
def command(
    output: Output,
    subject: str,
    namespace: str | None,
    config_file: Path | None,
    **chosen: Any,
) -> int:
    """Explain why something does not run: a JobSet, a Job, a pod, or a run of an engine.

    A bare name is looked up among the JobSets first, then the Jobs, the pods, and the
    runs and deployments of Argo, Airflow and Kubeflow; jobset/NAME, job/NAME and pod/NAME
    are unambiguous. A run is named by the engine's id, Metaflow's, or its deployment for
    the latest; NAME/TASK is one task.
    Exits with 1 if waiting cannot help.
    """
    from devstack.stack import open_stack, require_up

    stack = open_stack(load(config_file, **chosen))
    require_up(stack)
    answer = _explain(stack, subject, namespace or stack.state.namespace)
    answer = replace(answer, remedy=output.with_stack(answer.remedy))
    output.record(answer)
    output.text(f"{answer.paragraph}.")
    if answer.remedy:
        output.text(f"\nNext: {answer.remedy}")
    output.finish()
    return int(ExitStatus.FAILED if answer.state == "stuck" else ExitStatus.OK)
