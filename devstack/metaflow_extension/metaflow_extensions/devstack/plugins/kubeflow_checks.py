"""What a flow cannot have on Kubeflow Pipelines; checked before anything is uploaded.

``devstack kubeflow deploy`` reports the same problems.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from metaflow.exception import MetaflowException

from .kubeflow_parameters import is_config

Problem = tuple[str, str, str, str]
"""The place, the feature, why it is not supported, and what to use instead."""

_TAG = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
"""Texts that a shell takes as they are: the package writes tags into a script, unquoted."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Names that are Python's, as kfp needs them, and Argo's."""

_NO_EVENTS = ("events do not start pipelines", "use @schedule, or trigger it")
_FLOW_DECORATORS = {
    "trigger": _NO_EVENTS,
    "trigger_on_finish": _NO_EVENTS,
    "exit_hook": ("metaflow-kubeflow does not support it", "use a step, or @catch"),
}
_OTHER_CLUSTERS = ("batch", "slurm")


class UnsupportedOnKubeflowError(MetaflowException):
    """A flow has what Kubeflow Pipelines, or metaflow-kubeflow, does not support."""

    headline = "Kubeflow Pipelines cannot run this flow"


def check_flow(flow: Any, graph: Any, tags: Sequence[str] = ()) -> None:
    """Raise an exception if a flow has unsupported features.

    Raises:
        UnsupportedOnKubeflowError: it names all of them.
    """
    problems = find_problems(flow, graph, tags)
    if problems:
        lines = ["{}: {}: {}; instead: {}".format(*each) for each in problems]
        raise UnsupportedOnKubeflowError("\n".join(lines))


def find_problems(flow: Any, graph: Any, tags: Sequence[str] = ()) -> list[Problem]:
    """Return the unsupported features of a flow.

    Args:
        flow: Metaflow's flow.
        graph: its graph.
        tags: the tags of its runs.
    """
    return [*_in_graph(graph), *_in_flow(flow), *_in_parameters(flow), *_in_tags(tags)]


def _in_graph(graph: Any) -> Iterator[Problem]:
    for node in graph:
        where = f"step {node.name}"
        if node.parallel_step:
            reason = "metaflow-kubeflow cannot run gangs"
            yield where, "@parallel", reason, "use foreach, or deploy it to Argo"
        if node.type == "split-switch":
            reason = "metaflow-kubeflow has no conditional steps"
            yield where, "a condition", reason, "use a branch, or deploy it to Argo"
        for decorator in node.decorators:
            if decorator.name in _OTHER_CLUSTERS:
                yield where, f"@{decorator.name}", "it runs the step elsewhere", "use @kubernetes"


def _in_flow(flow: Any) -> Iterator[Problem]:
    where = f"flow {flow.name}"
    for name, (reason, instead) in _FLOW_DECORATORS.items():
        if flow._flow_decorators.get(name):
            yield where, f"@{name}", reason, instead
    for schedule in flow._flow_decorators.get("schedule") or ():
        if schedule.attributes.get("timezone"):
            reason = "schedules of Kubeflow Pipelines have no time zone"
            yield where, "@schedule(timezone=...)", reason, "write the schedule in UTC"


def _in_parameters(flow: Any) -> Iterator[Problem]:
    for _variable, parameter in flow._get_parameters():
        if not is_config(parameter) and not _NAME.fullmatch(parameter.name):
            name = re.sub(r"[^A-Za-z0-9_]", "_", parameter.name)
            yield (
                f"parameter {parameter.name}",
                "its name",
                "kfp and Argo take names of letters from a to z, digits and `_` only",
                f"rename it to {name}",
            )


def _in_tags(tags: Sequence[str]) -> Iterator[Problem]:
    for tag in tags:
        if not _TAG.fullmatch(tag):
            yield (
                f"tag {tag!r}",
                "its characters",
                "metaflow-kubeflow passes tags through a shell, which would change them",
                "use letters, digits and _@%+=:,./-",
            )
