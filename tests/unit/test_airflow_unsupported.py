"""Features that Airflow does not support, each with the reason and an alternative."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from metaflow.plugins.airflow.airflow import Airflow
from metaflow.plugins.kubernetes.kubernetes_decorator import KubernetesDecorator

from devstack.deployers.airflow.unsupported import find_violations
from devstack.deployers.flow_description import (
    Decorator,
    FlowDescription,
    ParameterDescription,
    StepDescription,
)


def described(*steps: StepDescription, **rest: Any) -> FlowDescription:
    return FlowDescription("MyFlow", "s3", {step.name: step for step in steps}, **rest)


def one(flow: FlowDescription) -> str:
    [violation] = find_violations(flow)
    assert violation.reason
    assert violation.instead
    return f"{violation.where}: {violation.what}"


def step(name: str, kind: str, *successors: str, **rest: Any) -> StepDescription:
    return StepDescription(name, kind, successors, **rest)


def test_a_plain_flow_is_supported() -> None:
    parameters = (ParameterDescription("n", has_default=True, default=0),)
    steps = (step("start", "start", "end"), step("end", "end"))
    assert find_violations(described(*steps, parameters=parameters)) == []


@pytest.mark.parametrize(
    ("decorators", "reason"),
    [
        ((), "it has no @project"),
        ((Decorator("project", {"name": "shop"}),), "its @project is 'shop'"),
    ],
)
def test_a_flow_of_another_project_is_unsupported(
    decorators: tuple[Decorator, ...], reason: str
) -> None:
    [violation] = find_violations(described(decorators=decorators), "bank")
    assert (violation.what, violation.reason) == ("--project bank", reason)


def test_a_flow_of_the_required_project_is_supported() -> None:
    decorators = (Decorator("project", {"name": "shop"}),)
    assert find_violations(described(decorators=decorators), "shop") == []


NO_POD_SETTINGS = {"compute_pool", "executable", "hostname_resolution_timeout", "tmpfs_tempdir"}
"""Attributes of @kubernetes that do not describe the pod, or only in addition to another one."""


def attributes_not_passed_to_the_pod() -> list[str]:
    """Return the attributes of @kubernetes that Metaflow's Airflow compiler does not read."""
    source = inspect.getsource(Airflow._to_job)
    read = set(re.findall(r'k8s_deco\.attributes\["(\w+)"\]', source))
    return sorted({*KubernetesDecorator.defaults} - read - NO_POD_SETTINGS)


@pytest.mark.parametrize("attribute", attributes_not_passed_to_the_pod())
def test_an_attribute_that_metaflow_does_not_pass_to_the_pod_is_reported(attribute: str) -> None:
    decorated = Decorator("kubernetes", {attribute: ["x"], "cpu": 2})
    flow = described(step("start", "start", decorators=(decorated,)))
    assert one(flow) == f"step start: @kubernetes({attribute}=...)"


@pytest.mark.parametrize("empty", [None, "", [], {}, False])
def test_an_empty_attribute_is_supported(empty: object) -> None:
    decorated = Decorator("kubernetes", {"tolerations": empty})
    assert find_violations(described(step("start", "start", decorators=(decorated,)))) == []


@pytest.mark.parametrize("name", ["batch", "slurm", "parallel"])
def test_another_platform_is_unsupported(name: str) -> None:
    flow = described(step("start", "start", decorators=(Decorator(name),)))
    assert one(flow) == f"step start: @{name}"


@pytest.mark.parametrize("name", ["trigger", "trigger_on_finish", "exit_hook"])
def test_events_are_unsupported(name: str) -> None:
    assert one(described(decorators=(Decorator(name),))) == f"flow MyFlow: @{name}"


def test_a_schedule_in_another_zone_is_unsupported() -> None:
    flow = described(decorators=(Decorator("schedule", {"timezone": "Asia/Tokyo"}),))
    assert one(flow) == "flow MyFlow: @schedule(timezone=...)"


def test_a_chain_of_steps_inside_a_foreach_is_unsupported() -> None:
    flow = described(
        step("start", "foreach", "first"),
        step("first", "linear", "second", inside_foreach=True),
        step("second", "linear", "join", inside_foreach=True),
        step("join", "join", "end"),
        step("end", "end"),
    )
    assert one(flow) == "step start: a foreach with more than one step before its join"


def test_a_switch_is_unsupported() -> None:
    assert one(described(step("start", "split-switch", "a", "b"))) == "step start: a switch"


@pytest.mark.parametrize(
    ("parameter", "what"),
    [
        (ParameterDescription("n", has_default=False), "no default"),
        (ParameterDescription("n", has_default=True, default=None), "no default"),
        (ParameterDescription("n", True, {"a": 1}, "dict"), "a default of type dict"),
        (ParameterDescription("n", True, "x", "integer"), "the default 'x'"),
        (ParameterDescription("n", True, float("inf"), "number"), "the default inf"),
        (ParameterDescription("n", True, "{", "json"), "the default '{'"),
        (ParameterDescription("n", True, "a\0b"), "the default 'a\\x00b'"),
    ],
)
def test_a_parameter_without_a_plain_default_is_unsupported(
    parameter: ParameterDescription, what: str
) -> None:
    assert one(described(parameters=(parameter,))) == f"parameter n: {what}"


def test_names_that_differ_only_by_case_are_unsupported() -> None:
    twice = tuple(ParameterDescription(name, has_default=True, default=1) for name in ("n", "N"))
    assert one(described(parameters=twice)) == "parameter N: a duplicate name"


def test_the_local_datastore_is_unsupported() -> None:
    assert one(FlowDescription("MyFlow", "local", {})) == "flow MyFlow: the local datastore"
