"""The free resources of nodes, and which pods fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devstack.kube.capacity import fit, measure_capacity, unfit_reason
from devstack.kube.client import Object
from tests.fakes.api import FakeApi
from tests.support.gang_objects import NAMESPACE, gang_pod, gang_pods, node

CASES = json.loads(Path("tests/conformance/pod-fit.json").read_text())
"""What the gang controller is tested on too, in containers/gang/fit_test.go."""


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def named(kind: str, item: Object, name: str) -> Object:
    metadata = {"name": name, "namespace": NAMESPACE, **item.get("metadata", {})}
    return {"apiVersion": "v1", "kind": kind, **item, "metadata": metadata}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_pods_fit_as_the_gang_controller_finds(api: FakeApi, case: dict[str, Any]) -> None:
    pods = [named("Pod", pod, f"pod-{i}") for i, pod in enumerate(case["pods"])]
    api.add(*(named("Node", item, f"node-{i}") for i, item in enumerate(case["nodes"])))
    for i, pod in enumerate(case.get("running", [])):
        # Ended pods are left out by the API server.
        if pod["status"]["phase"] == "Running":
            api.add(named("Pod", pod, f"run-{i}"))
    nodes = measure_capacity(api.client())
    assert fit(pods, nodes) == case["fit"]
    if "unfit" in case:
        (pod,), (node,) = pods, nodes
        assert case["unfit"] in unfit_reason(pod, node)


def test_free_resources_exclude_those_of_running_pods(api: FakeApi) -> None:
    api.add(node("one", "4"), node("two", "2"), *gang_pods("js-1", 3, node="one"))
    nodes = measure_capacity(api.client())
    assert [(each.name, each.free["cpu"]) for each in nodes] == [("one", 1), ("two", 2)]


def test_pods_can_be_left_out_of_the_count(api: FakeApi) -> None:
    api.add(node("one", "4"), *gang_pods("js-1", 3, node="one"))
    (one,) = measure_capacity(api.client(), lambda _pod: False)
    assert one.free["cpu"] == 4


def test_large_pods_are_placed_first(api: FakeApi) -> None:
    api.add(node("one", "2"), node("two", "2"))
    mixed = [*gang_pods("js-1", 2), gang_pod("js-1", 2, cpu="2")]
    assert fit(mixed, measure_capacity(api.client())) == 3


def test_a_taint_excludes_pods_that_do_not_tolerate_it(api: FakeApi) -> None:
    taint = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    api.add(node("one", "2", taints=[taint]))
    (one,) = measure_capacity(api.client())
    pod = gang_pod("js-1", 0)
    assert unfit_reason(pod, one) == "has the taint gpu=yes:NoSchedule"
    pod["spec"]["tolerations"] = [{"key": "gpu", "operator": "Exists"}]
    assert unfit_reason(pod, one) == ""


def test_cordoned_and_unlabelled_nodes_are_named(api: FakeApi) -> None:
    api.add(node("one", "2", unschedulable=True), node("two", "2"))
    one, two = measure_capacity(api.client())
    pod = gang_pod("js-1", 0)
    pod["spec"]["nodeSelector"] = {"disk": "fast"}
    assert unfit_reason(pod, one) == "is cordoned"
    assert unfit_reason(pod, two) == "has no label disk=fast"
