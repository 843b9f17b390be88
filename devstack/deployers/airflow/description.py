"""What a flow is made of, as far as Airflow is concerned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Decoration:
    """A decorator of a step or of a flow.

    Attributes:
        name: the decorator, without its ``@``.
        given: the attributes that the user or the settings gave it, by name.
    """

    name: str
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StepDescription:
    """A step of a flow.

    Attributes:
        name: the step.
        kind: Metaflow's word for its node: start, linear, split, foreach, join, end, split-switch.
        follows: the steps that come after it.
        inside_foreach: True where it runs once for each item of a foreach.
        parallel: True where it is started with ``num_parallel``.
        decorations: its decorators.
    """

    name: str
    kind: str
    follows: tuple[str, ...] = ()
    inside_foreach: bool = False
    parallel: bool = False
    decorations: tuple[Decoration, ...] = ()


@dataclass(frozen=True)
class ParameterDescription:
    """A parameter of a flow.

    Attributes:
        name: what the user types.
        has_default: True where it may be left out.
        default: its value where it is left out.
    """

    name: str
    has_default: bool
    default: Any = None


@dataclass(frozen=True)
class FlowDescription:
    """A flow, as Metaflow understood it.

    Attributes:
        name: the flow's class.
        datastore: where artifacts go: ``s3``, ``local``.
        steps: its steps by name.
        parameters: its parameters.
        decorations: its decorators.
    """

    name: str
    datastore: str
    steps: Mapping[str, StepDescription]
    parameters: tuple[ParameterDescription, ...] = ()
    decorations: tuple[Decoration, ...] = ()
