"""Runs of Argo survive the loss of what they need, and deployments do not disturb each other."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import pytest

from tests.argo.flows_on_argo import (
    FLOWS,
    RUN_SECONDS,
    WORKFLOW,
    argo,
    artifact,
    deploy,
    objects,
    run_to_end,
)
from tests.support.commandline import Devstack
from tests.support.eventually import eventually

FLOW = "ArgoSlowFlow"
OUTAGE_SECONDS = 30
pytestmark = pytest.mark.usefixtures("clean")


def started(stack: Devstack, *options: str) -> tuple[dict[str, Any], subprocess.Popen[str]]:
    """Deploy the slow flow, start a run, and wait until its first step waits.

    Returns:
        The run, and a command that follows it.
    """
    template = deploy(stack, "slow.py")
    limit = str(RUN_SECONDS)
    follower = stack.start(
        "argo", "trigger", template, "--wait", "--timeout", limit, "--json", *options
    )

    def waits() -> bool:
        runs = argo(stack, "runs", template)["data"]["runs"]
        return bool(runs) and "waiting" in _log(stack, runs[0]["run_id"])

    eventually("the first step to begin", waits, timeout=180, interval=2)
    run: dict[str, Any] = argo(stack, "runs", template)["data"]["runs"][0]
    return run, follower


def _log(stack: Devstack, run_id: str) -> str:
    done = stack.run("argo", "logs", run_id, "start", "--json", check=False)
    data = json.loads(done.stdout)["data"] or {}
    return "\n".join(line for log in data.get("logs", []) for line in log["lines"])


def succeeded(follower: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for the command that follows a run; return the run."""
    output, errors = follower.communicate(timeout=RUN_SECONDS + 60)
    envelope = json.loads(output)
    assert envelope["status"] == "ok", (envelope["error"], errors)
    run: dict[str, Any] = envelope["data"]
    assert run["state"] == "succeeded"
    return run


def test_a_run_survives_a_killed_controller(stack: Devstack) -> None:
    _, follower = started(stack)
    labels = "app.kubernetes.io/name=argo,app.kubernetes.io/component=controller"
    query = ("pod", "--namespace=argo", f"--selector={labels}")
    stack.admin_kubectl("delete", *query, "--grace-period=0", "--force")
    run = succeeded(follower)
    assert artifact(stack, FLOW, run, "start", "attempt") == 0
    assert artifact(stack, FLOW, run, "end", "ended") is True


def test_a_deleted_pod_is_retried(stack: Devstack) -> None:
    run, follower = started(stack)
    pods = objects(stack, "pods", f"--selector={WORKFLOW}={run['run_id']}")
    step = "metaflow/step_name"
    (name,) = (
        pod["metadata"]["name"]
        for pod in pods
        if pod["metadata"]["annotations"].get(step) == "start"
        and pod["status"]["phase"] == "Running"
    )
    target = ("pod", name, "--namespace=metaflow")
    stack.admin_kubectl("delete", *target, "--grace-period=0", "--force")
    assert artifact(stack, FLOW, succeeded(follower), "start", "attempt") == 1


def test_a_run_survives_the_loss_of_minio(stack: Devstack) -> None:
    # The step ends while MinIO is away: what it stores then is sent again.
    _, follower = started(stack, "--param", "seconds=15")
    scale = ("scale", "deployment/minio", "--namespace=devstack")
    stack.admin_kubectl(*scale, "--replicas=0")
    try:
        time.sleep(OUTAGE_SECONDS)
    finally:
        stack.admin_kubectl(*scale, "--replicas=1")
    run = succeeded(follower)
    assert artifact(stack, FLOW, run, "end", "ended") is True


def test_concurrent_deployments_of_one_name_leave_one_that_runs(stack: Devstack) -> None:
    command = ("argo", "deploy", str(FLOWS / "line.py"), "--schedule", "daily", "--json")
    deploying = [stack.start(*command) for _ in range(2)]
    ended = [json.loads(each.communicate(timeout=RUN_SECONDS)[0]) for each in deploying]
    codes = [each["error"]["code"] for each in ended if each["status"] != "ok"]
    # One may be refused, with an error.
    assert codes in ([], ["DEPLOYED_MEANWHILE"])
    (template,) = objects(stack, "workflowtemplates")
    (cron,) = objects(stack, "cronworkflows")
    assert template["metadata"]["name"] == cron["metadata"]["name"]
    run = run_to_end(stack, template["metadata"]["name"])["data"]
    assert run["state"] == "succeeded"


def test_why_and_doctor_name_a_controller_that_is_down(stack: Devstack) -> None:
    run, follower = started(stack, "--param", "seconds=1")
    scale = ("scale", "deployment/argo-controller", "--namespace=argo")
    stack.admin_kubectl(*scale, "--replicas=0")
    try:
        answer = stack.json("why", run["run_id"], check=False)["data"]
        assert answer["state"] == "stuck"
        assert "scaled to zero" in answer["because"]
        checks = stack.json("doctor", check=False)["data"]["checks"]
        found = {each["name"]: each["findings"] for each in checks}
        assert found["argo-controller"][0]["code"] == "ARGO_CONTROLLER_DOWN"
    finally:
        stack.admin_kubectl(*scale, "--replicas=1")
    succeeded(follower)
