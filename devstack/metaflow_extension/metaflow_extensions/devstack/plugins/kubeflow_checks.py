"""What a flow cannot have on Kubeflow Pipelines; checked before anything is uploaded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from metaflow.exception import MetaflowException

_TAG = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
"""Texts that a shell takes as they are: the package writes tags into a script, unquoted."""

_FLOW_DECORATORS = {
    "trigger": "events do not start pipelines; use @schedule, or trigger it",
    "trigger_on_finish": "events do not start pipelines; use @schedule, or trigger it",
    "exit_hook": "pipelines have no exit hooks that Metaflow supports",
}
_OTHER_CLUSTERS = ("batch", "slurm")


class UnsupportedOnKubeflowError(MetaflowException):
    """A flow has what Kubeflow Pipelines, or metaflow-kubeflow, does not support."""

    headline = "Kubeflow Pipelines cannot run this flow"


def check_flow(flow: Any, graph: Any, tags: Sequence[str] = ()) -> None:
    """Raise an exception if a flow has unsupported features.

    Args:
        flow: Metaflow's flow.
        graph: its graph.
        tags: the tags of its runs.

    Raises:
        UnsupportedOnKubeflowError: it names all of them.
    """
    found = [*_in_graph(graph), *_in_flow(flow), *_in_parameters(flow), *_in_tags(tags)]
    if found:
        raise UnsupportedOnKubeflowError("\n".join(found))


def _in_graph(graph: Any) -> Iterator[str]:
    for node in graph:
        where = f"step {node.name}"
        if node.parallel_step:
            yield f"{where}: @parallel: metaflow-kubeflow cannot run gangs; use Argo, or foreach"
        if node.type == "split-switch":
            yield f"{where}: a condition: metaflow-kubeflow has no conditional steps"
        for decorator in node.decorators:
            if decorator.name in _OTHER_CLUSTERS:
                yield f"{where}: @{decorator.name}: it runs steps elsewhere; use @kubernetes"


def _in_flow(flow: Any) -> Iterator[str]:
    for name, reason in _FLOW_DECORATORS.items():
        if flow._flow_decorators.get(name):
            yield f"flow {flow.name}: @{name}: {reason}"
    for schedule in flow._flow_decorators.get("schedule") or ():
        if schedule.attributes.get("timezone"):
            yield (
                f"flow {flow.name}: @schedule(timezone=...): schedules of Kubeflow Pipelines have "
                "no time zone; write the schedule in UTC"
            )


def _in_parameters(flow: Any) -> Iterator[str]:
    for _variable, parameter in flow._get_parameters():
        if not parameter.name.isidentifier():
            yield (
                f"parameter {parameter.name}: kfp takes names of Python only; "
                f"rename it to {re.sub(r'[^A-Za-z0-9_]', '_', parameter.name)}"
            )


def _in_tags(tags: Sequence[str]) -> Iterator[str]:
    for tag in tags:
        if not _TAG.fullmatch(tag):
            yield (
                f"tag {tag!r}: metaflow-kubeflow passes it through a shell, which would change it; "
                "use letters, digits and _@%+=:,./-"
            )
