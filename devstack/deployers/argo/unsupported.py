"""Features of flows that the stack's Argo does not support, and what to use instead."""

from __future__ import annotations

from collections.abc import Iterator

from devstack.deployers.argo.parameters import encode_value
from devstack.deployers.flow_description import FlowDescription, ParameterDescription
from devstack.deployers.unsupported import Violation

TYPES = {"integer": "int", "number": "float", "boolean": "bool", "json": "JSON"}
"""Metaflow's types by the kind of a parameter."""

_STEP_DECORATORS = {
    "batch": ("it runs steps on AWS Batch", "use @kubernetes or @resources"),
    "slurm": ("it runs steps on Slurm", "use @kubernetes or @resources"),
}
_FLOW_DECORATORS = {
    "trigger": ("the stack has no Argo Events", "use @schedule, or devstack argo trigger"),
    "trigger_on_finish": (
        "the stack has no Argo Events",
        "use @schedule, or devstack argo trigger",
    ),
}


def find_violations(flow: FlowDescription, project: str = "") -> list[Violation]:
    """Return the unsupported features of a flow.

    Args:
        flow: the flow.
        project: the @project that it must have; any if empty.
    """
    return [
        *(_check_project(flow, project) if project else ()),
        *_check_datastore(flow),
        *(each for item in flow.parameters for each in _check_parameter(item)),
        *_check_decorators(flow),
    ]


def _check_datastore(flow: FlowDescription) -> Iterator[Violation]:
    if flow.datastore == "local":
        yield Violation(
            f"flow {flow.name}",
            "the local datastore",
            "task pods cannot access this machine's disk",
            "omit --datastore: the stack's datastore is S3",
        )


def _check_project(flow: FlowDescription, project: str) -> Iterator[Violation]:
    names = [each.attributes.get("name") for each in flow.decorators if each.name == "project"]
    if project not in names:
        yield Violation(
            f"flow {flow.name}",
            f"--project {project}",
            f"its @project is {names[0]!r}" if names else "it has no @project",
            f"write @project(name={project!r}) above the class: its pods read the flow too",
        )


def _check_parameter(parameter: ParameterDescription) -> Iterator[Violation]:
    if parameter.default is None or parameter.kind == "file":
        return
    try:
        encode_value(TYPES.get(parameter.kind, "str"), parameter.default)
    except (TypeError, ValueError) as error:
        what = f"the default {parameter.default!r:.80}"
        yield Violation(f"parameter {parameter.name}", what, str(error), "use another default")


def _check_decorators(flow: FlowDescription) -> Iterator[Violation]:
    for decorator in flow.decorators:
        if decorator.name in _FLOW_DECORATORS:
            reason, instead = _FLOW_DECORATORS[decorator.name]
            yield Violation(f"flow {flow.name}", f"@{decorator.name}", reason, instead)
    for step in flow.steps.values():
        for decorator in step.decorators:
            if decorator.name in _STEP_DECORATORS:
                reason, instead = _STEP_DECORATORS[decorator.name]
                yield Violation(f"step {step.name}", f"@{decorator.name}", reason, instead)
