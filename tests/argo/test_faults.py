"""Runs of Argo survive the loss of what they need, and deployments do not disturb each other."""

from __future__ import annotations

import pytest

from tests.argo.flows_on_argo import FLOWS, artifact, deploy, objects, run_to_end
from tests.support.commandline import Devstack
from tests.support.engines import (
    SLOW_FLOW,
    SlowRun,
    deploy_twice,
    kill_controller,
    lose_minio,
    scaled_to_zero,
    start_slow_run,
)

FLOW = "ArgoSlowFlow"
pytestmark = pytest.mark.usefixtures("clean")


def started(stack: Devstack, *options: str) -> SlowRun:
    """Deploy the slow flow, and start a run of it."""
    return start_slow_run(stack, "argo", deploy(stack, SLOW_FLOW.name), *options)


def test_a_run_survives_a_killed_controller(stack: Devstack) -> None:
    slow = started(stack)
    kill_controller(stack)
    run = slow.succeeded()
    assert artifact(stack, FLOW, run, "start", "attempt") == 0
    assert artifact(stack, FLOW, run, "end", "ended") is True


def test_a_deleted_pod_is_retried(stack: Devstack) -> None:
    # Longer than the test needs to find and delete the pod.
    slow = started(stack, "--param", "seconds=300")
    slow.delete_pod()
    assert artifact(stack, FLOW, slow.succeeded(), "start", "attempt") == 1


def test_a_run_survives_the_loss_of_minio(stack: Devstack) -> None:
    # The step ends while MinIO is away: what it stores then is sent again.
    slow = started(stack, "--param", "seconds=15")
    lose_minio(stack)
    assert artifact(stack, FLOW, slow.succeeded(), "end", "ended") is True


def test_concurrent_deployments_of_one_name_leave_one_that_runs(stack: Devstack) -> None:
    ended = deploy_twice(stack, "argo", str(FLOWS / "line.py"), "--schedule", "daily")
    codes = [each["error"]["code"] for each in ended if each["status"] != "ok"]
    # They take turns, but Argo may change the schedule while the second one replaces it.
    assert codes in ([], ["DEPLOYED_MEANWHILE"])
    (template,) = objects(stack, "workflowtemplates")
    (cron,) = objects(stack, "cronworkflows")
    assert template["metadata"]["name"] == cron["metadata"]["name"]
    run = run_to_end(stack, template["metadata"]["name"])["data"]
    assert run["state"] == "succeeded"


def test_why_and_doctor_name_a_controller_that_is_down(stack: Devstack) -> None:
    slow = started(stack, "--param", "seconds=1")
    with scaled_to_zero(stack, "argo-controller", "argo"):
        answer = stack.json("why", slow.run["run_id"], check=False)["data"]
        assert answer["state"] == "stuck"
        assert "scaled to zero" in answer["because"]
        checks = stack.json("doctor", check=False)["data"]["checks"]
        found = {each["name"]: each["findings"] for each in checks}
        assert found["argo-controller"][0]["code"] == "ARGO_CONTROLLER_DOWN"
    slow.succeeded()
