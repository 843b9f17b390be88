"""The JSON of ``--json``, if it differs from the fields of the objects shown.

Each structure takes its values from attributes of the same name, properties
included; :func:`dump` converts an object by one of them. Objects that need no
structure here are printed field by field.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct, field

_INLINE = "<inline>"
"""Starts the name of a field whose own fields become those of the structure around it."""


class _Rounded(Struct):
    """A structure whose seconds have two decimals; an unknown number is 0."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if name.endswith("seconds"):
                setattr(self, name, round(getattr(self, name) or 0.0, 2))


class Error(Struct):
    """:class:`devstack.errors.DevstackError`."""

    code: str
    message: str
    cause: str
    remedy: str
    output_tail: list[str] = field(name="output")


class TaskPod(Struct):
    """:class:`devstack.flows.pods.TaskPod`."""

    name: str
    step: str
    attempt: int
    jobset: str
    phase: str
    reason: str
    message: str
    exit_status: int
    cpu: str
    deadline_seconds: int
    seconds: float


class Timing(Struct):
    """:class:`devstack.flows.timing.Timing`."""

    total: float = field(name="seconds")
    running: float = field(name="running_seconds")
    waiting: float = field(name="waiting_seconds")
    overhead: float = field(name="overhead_seconds")

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, round(getattr(self, name), 2))


class FlowRun(Struct):
    """:class:`devstack.flows.result.FlowResult`."""

    flow: str
    run_id: str
    returncode: int = field(name="status")
    timing: Timing = field(name=f"{_INLINE}timing")
    pods: list[TaskPod]
    places: dict[str, str]
    stalls: list[str]
    log: Path


class DagRun(_Rounded):
    """:class:`devstack.airflow.runs.DagRun`."""

    dag_id: str
    run_id: str = field(name="dag_run_id")
    metaflow_id: str = field(name="metaflow_run_id")
    state: str
    kind: str
    began: float | None
    seconds: float | None
    conf: dict[str, Any]


class EndedDagRun(Struct):
    """:class:`devstack.deployers.base.RunResult` of a :class:`DagRun`."""

    run: DagRun = field(name=f"{_INLINE}run")
    tasks: list[Any]


class WorkflowRun(_Rounded):
    """:class:`devstack.kube.workflows.Workflow`."""

    template: str = field(name="name")
    run_id: str
    metaflow_id: str = field(name="metaflow_run_id")
    state: str
    kind: str
    began: float | None
    seconds: float | None
    parameters: dict[str, str]


class EndedWorkflow(Struct):
    """:class:`devstack.deployers.base.RunResult` of a :class:`WorkflowRun`."""

    run: WorkflowRun = field(name=f"{_INLINE}run")
    tasks: list[Any]


class Deployment(_Rounded):
    """:class:`devstack.deployers.base.Deployment`; its details become fields."""

    details: dict[str, Any] = field(name=f"{_INLINE}details")
    flow: str
    schedule: str
    paused: bool
    compile_seconds: float
    url: str


class Sample(Struct):
    """:class:`devstack.samples.catalogue.Sample`."""

    name: str
    shows: str


Run = TypeVar("Run")


class SampleOutcome(_Rounded, Generic[Run]):
    """:class:`devstack.flows.suite.SampleOutcome` of a :class:`FlowRun` or :class:`EndedDagRun`."""

    result: Run | None = field(name=f"{_INLINE}result")
    sample: Sample = field(name=f"{_INLINE}sample")
    verdict: str = field(name="result")
    ok: bool
    checked: int
    wrong: list[str]
    check_seconds: float
    error: Error | None


def dump(structure: Any, value: Any) -> Any:
    """Return ``value`` as JSON data.

    Args:
        structure: one of the structures above, or a list of one.
        value: an object with the structure's attributes, or a list of such objects.
    """
    converted = msgspec.convert(
        value, structure, from_attributes=True, dec_hook=lambda _type, found: found
    )
    return _merge_inlined(msgspec.to_builtins(converted, enc_hook=str))


def _merge_inlined(data: Any) -> Any:
    if isinstance(data, list):
        return [_merge_inlined(item) for item in data]
    if not isinstance(data, dict):
        return data
    merged: dict[str, Any] = {}
    for key, value in data.items():
        if key.startswith(_INLINE):
            merged.update(_merge_inlined(value) or {})
        else:
            merged[key] = _merge_inlined(value)
    return merged
