"""A flow's graph, decorators and parameters, as the checks for unsupported features need them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_KINDS = {
    "int": "integer",
    "integer": "integer",
    "integer range": "integer",
    "float": "number",
    "float range": "number",
    "bool": "boolean",
    "boolean": "boolean",
    "JSON": "json",
    "dict": "dict",
    "list": "list",
}
"""Kinds of parameters by the name of their type."""


@dataclass(frozen=True)
class Decorator:
    """A decorator of a step or of a flow.

    Attributes:
        name: the decorator, without ``@``.
        attributes: the attributes that differ from their defaults, by name.
    """

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StepDescription:
    """A step of a flow.

    Attributes:
        name: the step.
        kind: Metaflow's node type: start, linear, split, foreach, join, end, split-switch.
        successors: names of the next steps.
        inside_foreach: True if it runs once for each item of a foreach.
        parallel: True if it is started with ``num_parallel``.
        decorators: its decorators.
    """

    name: str
    kind: str
    successors: tuple[str, ...] = ()
    inside_foreach: bool = False
    parallel: bool = False
    decorators: tuple[Decorator, ...] = ()


@dataclass(frozen=True)
class ParameterDescription:
    """A parameter of a flow.

    Attributes:
        name: the parameter.
        has_default: True if it is optional.
        default: its default value; empty for a file, which is not read yet.
        kind: string, integer, number, boolean, json or file; dict or list without JSONType.
    """

    name: str
    has_default: bool
    default: Any = None
    kind: str = "string"


@dataclass(frozen=True)
class FlowDescription:
    """A flow.

    Attributes:
        name: the flow's class.
        datastore: type of the datastore: ``s3``, ``local``.
        steps: its steps by name.
        parameters: its parameters.
        decorators: its decorators.
    """

    name: str
    datastore: str
    steps: Mapping[str, StepDescription]
    parameters: tuple[ParameterDescription, ...] = ()
    decorators: tuple[Decorator, ...] = ()


def describe_flow(flow: Any, graph: Any, datastore: str) -> FlowDescription:
    """Return the description of a flow that Metaflow has loaded.

    Args:
        flow: Metaflow's flow, with initialized decorators.
        graph: the flow's graph.
        datastore: the datastore's type.
    """
    steps = {node.name: _step(node) for node in graph}
    flow_decorators = (d for several in flow._flow_decorators.values() for d in several)
    return FlowDescription(
        name=flow.name,
        datastore=datastore,
        steps=steps,
        parameters=tuple(describe_parameter(each) for each in plain_parameters(flow)),
        decorators=tuple(_decorator(each) for each in flow_decorators),
    )


def _step(node: Any) -> StepDescription:
    return StepDescription(
        name=node.name,
        kind=node.type,
        successors=tuple(node.out_funcs),
        inside_foreach=node.is_inside_foreach,
        parallel=bool(node.parallel_foreach or node.parallel_step),
        decorators=tuple(_decorator(each) for each in node.decorators),
    )


def _decorator(decorator: Any) -> Decorator:
    defaults = decorator.defaults
    changed = {
        key: value
        for key, value in decorator.attributes.items()
        if key not in defaults or value != defaults[key]
    }
    return Decorator(decorator.name, changed)


def plain_parameters(flow: Any) -> list[Any]:
    """Return Metaflow's parameters of a flow, without its Configs, which deployment fixes."""
    found = (parameter for _, parameter in flow._get_parameters())
    return [each for each in found if not getattr(each, "IS_CONFIG_PARAMETER", False)]


def config_names(flow: Any) -> list[str]:
    """Return the names of a flow's Configs."""
    found = (parameter for _, parameter in flow._get_parameters())
    return [each.name for each in found if getattr(each, "IS_CONFIG_PARAMETER", False)]


def describe_parameter(parameter: Any, *, read_file: bool = False) -> ParameterDescription:
    """Return the description of one of Metaflow's parameters.

    Args:
        parameter: Metaflow's parameter.
        read_file: True to upload an IncludeFile; its default is where it is then.
    """
    parameters: Any = importlib.import_module("metaflow.parameters")
    kind = _kind(parameter)
    default = parameter.kwargs.get("default")
    if kind == "file" and default is not None and not read_file:
        default = ""
    evaluated = parameters.deploy_time_eval(default)
    return ParameterDescription(parameter.name, "default" in parameter.kwargs, evaluated, kind)


def _kind(parameter: Any) -> str:
    """Return the kind of a parameter by its type, which may be Python's, click's or Metaflow's."""
    kind = parameter.kwargs.get("type")
    name = str(getattr(kind, "name", "") or getattr(kind, "__name__", ""))
    if type(kind).__name__ == "FilePathClass":
        return "file"
    return _KINDS.get(name, "string")
