"""Features of flows that the stack's Argo does not support, and what to use instead."""

from __future__ import annotations

from collections.abc import Iterator

from devstack.deployers.argo.parameters import encode_value
from devstack.deployers.checks import (
    OTHER_CLUSTERS,
    check_datastore,
    check_decorator,
    check_project,
)
from devstack.deployers.flow_description import FlowDescription, ParameterDescription
from devstack.deployers.unsupported import Violation

TYPES = {"integer": "int", "number": "float", "boolean": "bool", "json": "JSON"}
"""Metaflow's types by the kind of a parameter."""

_EVENTS = ("trigger", "trigger_on_finish")
"""Decorators of flows that start when an event is published."""


def find_violations(
    flow: FlowDescription, project: str = "", enable_events: str = ""
) -> list[Violation]:
    """Return the unsupported features of a flow.

    Args:
        flow: the flow.
        project: the @project that it must have; any if empty.
        enable_events: the command that adds Argo Events to the stack; empty if it has them.
    """
    return [
        *check_project(flow, project),
        *check_datastore(flow),
        *(each for item in flow.parameters for each in _check_parameter(item)),
        *_check_decorators(flow, enable_events),
    ]


def _check_parameter(parameter: ParameterDescription) -> Iterator[Violation]:
    if parameter.default is None or parameter.kind == "file":
        return
    try:
        encode_value(TYPES.get(parameter.kind, "str"), parameter.default)
    except (TypeError, ValueError) as error:
        what = f"the default {parameter.default!r:.80}"
        yield Violation(f"parameter {parameter.name}", what, str(error), "use another default")


def _check_decorators(flow: FlowDescription, enable_events: str) -> Iterator[Violation]:
    missing = ("the stack has no Argo Events", enable_events)
    events = dict.fromkeys(_EVENTS, missing) if enable_events else {}
    for decorator in flow.decorators:
        yield from check_decorator(f"flow {flow.name}", decorator, events)
    for step in flow.steps.values():
        for decorator in step.decorators:
            yield from check_decorator(f"step {step.name}", decorator, OTHER_CLUSTERS)
