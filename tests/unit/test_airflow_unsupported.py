"""What Airflow cannot run, each with the reason and what to use instead."""

from __future__ import annotations

from typing import Any

import pytest

from devstack.deployers.airflow.description import (
    Decoration,
    FlowDescription,
    ParameterDescription,
    StepDescription,
)
from devstack.deployers.airflow.unsupported import _DROPPED, find_refusals


def described(*steps: StepDescription, **rest: Any) -> FlowDescription:
    return FlowDescription("MyFlow", "s3", {step.name: step for step in steps}, **rest)


def one(flow: FlowDescription) -> str:
    [refusal] = find_refusals(flow)
    assert refusal.reason
    assert refusal.instead
    return f"{refusal.where}: {refusal.what}"


def step(name: str, kind: str, *follows: str, **rest: Any) -> StepDescription:
    return StepDescription(name, kind, follows, **rest)


def test_a_plain_flow_is_taken() -> None:
    parameters = (ParameterDescription("n", has_default=True, default=0),)
    steps = (step("start", "start", "end"), step("end", "end"))
    assert find_refusals(described(*steps, parameters=parameters)) == []


@pytest.mark.parametrize(
    ("decorations", "reason"),
    [
        ((), "it has no @project"),
        ((Decoration("project", {"name": "shop"}),), "its @project is 'shop'"),
    ],
)
def test_a_flow_of_another_project_is_refused(
    decorations: tuple[Decoration, ...], reason: str
) -> None:
    [refusal] = find_refusals(described(decorations=decorations), "bank")
    assert (refusal.what, refusal.reason) == ("--project bank", reason)


def test_a_flow_of_the_project_asked_for_is_taken() -> None:
    decorations = (Decoration("project", {"name": "shop"}),)
    assert find_refusals(described(decorations=decorations), "shop") == []


@pytest.mark.parametrize("attribute", sorted(_DROPPED))
def test_an_attribute_that_would_be_dropped_is_named(attribute: str) -> None:
    decorated = Decoration("kubernetes", {attribute: ["x"], "cpu": 2})
    flow = described(step("start", "start", decorations=(decorated,)))
    assert one(flow) == f"step start: @kubernetes({attribute}=...)"


@pytest.mark.parametrize("empty", [None, "", [], {}, False])
def test_an_attribute_that_says_nothing_is_no_reason(empty: object) -> None:
    decorated = Decoration("kubernetes", {"tolerations": empty})
    assert find_refusals(described(step("start", "start", decorations=(decorated,)))) == []


@pytest.mark.parametrize("name", ["batch", "slurm", "parallel"])
def test_another_platform_is_refused(name: str) -> None:
    flow = described(step("start", "start", decorations=(Decoration(name),)))
    assert one(flow) == f"step start: @{name}"


@pytest.mark.parametrize("name", ["trigger", "trigger_on_finish", "exit_hook"])
def test_events_are_refused(name: str) -> None:
    assert one(described(decorations=(Decoration(name),))) == f"flow MyFlow: @{name}"


def test_a_schedule_in_another_zone_is_refused() -> None:
    flow = described(decorations=(Decoration("schedule", {"timezone": "Asia/Tokyo"}),))
    assert one(flow) == "flow MyFlow: @schedule(timezone=...)"


def test_a_chain_of_steps_inside_a_foreach_is_refused() -> None:
    flow = described(
        step("start", "foreach", "first"),
        step("first", "linear", "second", inside_foreach=True),
        step("second", "linear", "join", inside_foreach=True),
        step("join", "join", "end"),
        step("end", "end"),
    )
    assert one(flow) == "step start: a foreach with more than one step before its join"


def test_a_switch_is_refused() -> None:
    assert one(described(step("start", "split-switch", "a", "b"))) == "step start: a switch"


@pytest.mark.parametrize(
    ("parameter", "what"),
    [
        (ParameterDescription("n", has_default=False), "no default"),
        (ParameterDescription("n", has_default=True, default=None), "no default"),
        (ParameterDescription("n", has_default=True, default={"a": 1}), "a default of type dict"),
    ],
)
def test_a_parameter_without_a_plain_default_is_refused(
    parameter: ParameterDescription, what: str
) -> None:
    assert one(described(parameters=(parameter,))) == f"parameter n: {what}"


def test_names_that_differ_by_capitals_alone_are_refused() -> None:
    twice = tuple(ParameterDescription(name, has_default=True, default=1) for name in ("n", "N"))
    assert one(described(parameters=twice)) == "parameter N: a second one of this name"


def test_the_local_datastore_is_refused() -> None:
    assert one(FlowDescription("MyFlow", "local", {})) == "flow MyFlow: the local datastore"
