"""Decorators that no sample has: in one run, because most of its time is that of pods' starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.airflow.metaflow_client import run_client
from tests.argo.flows_on_argo import WORKFLOW, artifact, delete_all, deploy, objects, run_to_end
from tests.support.commandline import Devstack

FLOW = "ArgoBroadFlow"
HOOK = "success-note-success"


@pytest.fixture(scope="module")
def run(stack: Devstack) -> Iterator[dict[str, Any]]:
    """A run of the flow."""
    yield run_to_end(stack, deploy(stack, "broad.py", "--branch", "spring"))["data"]
    delete_all(stack)


def test_attributes_of_kubernetes_reach_the_pod(stack: Devstack, run: dict[str, Any]) -> None:
    pods = objects(stack, "pods", f"--selector={WORKFLOW}={run['run_id']},colour=green")
    (pod,) = pods
    assert pod["metadata"]["annotations"]["note"] == "any text"
    tolerated = {each.get("key") for each in pod["spec"]["tolerations"]}
    assert "no-node-has-it" in tolerated
    assert artifact(stack, FLOW, run, "end", "shared") == 32
    assert artifact(stack, FLOW, run, "end", "tempdir") == "tmpfs"


def test_failures_and_timeouts_are_caught(stack: Devstack, run: dict[str, Any]) -> None:
    failed, timed_out = artifact(stack, FLOW, run, "end", "failures")
    assert "on purpose" in failed
    assert timed_out is True


def test_a_card_is_rendered(stack: Devstack, run: dict[str, Any]) -> None:
    task = f"Run('{FLOW}/{run['metaflow_run_id']}')['start'].task"
    program = f"from metaflow.cards import get_cards\nfound = len(list(get_cards({task})))"
    assert run_client(stack, program) == 1


def test_a_branch_of_a_project_has_its_name(stack: Devstack, run: dict[str, Any]) -> None:
    assert run["name"] == "shop.test.spring.argobroadflow"
    assert artifact(stack, FLOW, run, "end", "branch") == "test.spring"


def test_a_hook_runs_after_the_last_step(run: dict[str, Any]) -> None:
    states = {task["step"]: task["state"] for task in run["tasks"]}
    assert states[HOOK] == "succeeded"
