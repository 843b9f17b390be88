"""The sentence was built from the Parameters, in pods, and its text was not changed."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.argo_nodes import states_of, steps_of
from devstack.samples.checks.result import CheckResult, contains, same

MOTTO = "pay $5 to `Zo\u00eb` \\ {{now}}"


def check(run: Any, tasks: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of argo-linear."""
    data = run["end"].task.data
    sentence = f"{MOTTO} {MOTTO}!"
    return [
        same("the run succeeded", run.successful, True),
        same("the Parameter's text arrived as it is", data.sentence, sentence),
        contains("the log has it", run["end"].task.stdout, f"The workflow said: {sentence}"),
        same("the steps ran in the workflow", f"argo-{data.workflow}", run.id),
        same("Argo ran each step once", steps_of(tasks), ["end", "middle", "start"]),
        same("all tasks succeeded", states_of(tasks), {"succeeded"}),
    ]
