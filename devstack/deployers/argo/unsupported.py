"""Features of flows that the stack's Argo does not support, and what to use instead."""

from __future__ import annotations

from collections.abc import Iterator

from devstack.deployers.argo.parameters import encode_value, size_problem
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
        *check_defaults(flow),
        *_check_decorators(flow, enable_events),
    ]


def check_defaults(flow: FlowDescription, *, exact: bool = True) -> Iterator[Violation]:
    """Yield a violation for each default that a pod would not get as it is.

    Args:
        flow: the flow.
        exact: False if the script of the first pod is Metaflow's own.
    """
    encoded = {}
    for each in flow.parameters:
        if each.default is None or each.kind == "file":
            continue
        try:
            encoded[each.name] = _encode_default(each, exact)
        except (TypeError, ValueError) as error:
            what = f"the default {each.default!r:.80}"
            yield Violation(f"parameter {each.name}", what, str(error), "use another default")
    if problem := size_problem(encoded):
        instead = "use shorter ones, or IncludeFile"
        yield Violation(f"flow {flow.name}", "the defaults", problem, instead)


def _encode_default(parameter: ParameterDescription, exact: bool) -> str:
    if parameter.kind in ("dict", "list"):
        raise ValueError("Metaflow cannot read it from the text that a run gets; add type=JSONType")
    return encode_value(TYPES.get(parameter.kind, "str"), parameter.default, exact=exact)


def _check_decorators(flow: FlowDescription, enable_events: str) -> Iterator[Violation]:
    missing = ("the stack has no Argo Events", enable_events)
    events = dict.fromkeys(_EVENTS, missing) if enable_events else {}
    for decorator in flow.decorators:
        yield from check_decorator(f"flow {flow.name}", decorator, events)
    for step in flow.steps.values():
        for decorator in step.decorators:
            yield from check_decorator(f"step {step.name}", decorator, OTHER_CLUSTERS)
