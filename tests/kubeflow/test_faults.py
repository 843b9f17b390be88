"""Runs of pipelines survive the loss of what they need, and deployments take turns."""

from __future__ import annotations

import pytest

from tests.kubeflow.flows_on_kubeflow import FLOWS, KubeflowStack
from tests.support.engines import (
    SLOW_FLOW,
    SlowRun,
    deploy_twice,
    kill_controller,
    lose_minio,
    start_slow_run,
)

FLOW = "ArgoSlowFlow"
pytestmark = pytest.mark.usefixtures("clean")


def started(stack: KubeflowStack, *options: str) -> SlowRun:
    """Deploy the slow flow, and start a run of it."""
    return start_slow_run(stack.devstack, "kubeflow", stack.deploy(str(SLOW_FLOW)), *options)


def test_a_run_survives_a_killed_controller(stack: KubeflowStack) -> None:
    slow = started(stack)
    kill_controller(stack.devstack)
    run = slow.succeeded()
    assert stack.artifact(FLOW, run, "start", "attempt") == 0
    assert stack.artifact(FLOW, run, "end", "ended") is True


def test_a_deleted_pod_is_retried(stack: KubeflowStack) -> None:
    # Longer than the test needs to find and delete the pod.
    slow = started(stack, "--param", "seconds=300")
    slow.delete_pod()
    assert stack.artifact(FLOW, slow.succeeded(), "start", "attempt") == 1


def test_a_run_survives_the_loss_of_minio(stack: KubeflowStack) -> None:
    # The step ends while MinIO is away: what it stores then is sent again.
    slow = started(stack, "--param", "seconds=15")
    lose_minio(stack.devstack)
    assert stack.artifact(FLOW, slow.succeeded(), "end", "ended") is True


def test_concurrent_deployments_of_one_name_leave_one_schedule_and_one_that_runs(
    stack: KubeflowStack,
) -> None:
    options = ("--python", str(stack.python), "--schedule", "daily")
    ended = deploy_twice(stack.devstack, "kubeflow", str(FLOWS / "line.py"), *options)
    assert [each["status"] for each in ended] == ["ok", "ok"]
    assert len({each["data"]["pipeline_id"] for each in ended}) == 1
    assert stack.kfp("found = len(client.list_recurring_runs().recurring_runs or [])") == 1
    run = stack.run_to_end(stack.only())["data"]
    assert run["state"] == "succeeded"
