"""``devstack why``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load
from devstack.errors import ExitStatus


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


@click.command("why", epilog="Examples: devstack why js-1a2b3c | devstack why pod/t-1a2b3c-x7x8z")
@click.argument("subject", metavar="JOBSET|JOB|POD", shell_complete=_complete_subjects)
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
    """Explain why a JobSet, a Job or a pod does not run; exit with 1 if waiting cannot help.

    A bare name is looked up among the JobSets first, then the Jobs, then the
    pods; jobset/NAME, job/NAME and pod/NAME are unambiguous.
    """
    from devstack.stack import open_stack, require_up
    from devstack.why.explain import explain
    from devstack.why.subject import find_subject

    stack = open_stack(load(config_file, **chosen))
    require_up(stack)
    kube = stack.kube()
    answer = explain(kube, find_subject(kube, subject, namespace or stack.state.namespace))
    answer = replace(answer, remedy=output.with_stack(answer.remedy))
    output.record(answer)
    output.text(f"{answer.paragraph}.")
    if answer.remedy:
        output.text(f"\nNext: {answer.remedy}")
    output.finish()
    return int(ExitStatus.FAILED if answer.state == "stuck" else ExitStatus.OK)
