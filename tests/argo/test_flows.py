"""Flows are deployed to Argo, run, explained and deleted with `devstack argo`."""

from __future__ import annotations

from typing import Any

import pytest

from devstack.errors import ExitStatus
from tests.argo.flows_on_argo import (
    WORKFLOW,
    argo,
    artifact,
    deploy,
    objects,
    run_to_end,
    succeeded,
)
from tests.support.commandline import Devstack
from tests.support.eventually import eventually

TEXT = """it's "quoted" {x} #1; 100% & <a> | !x ~ * ?"""
pytestmark = pytest.mark.usefixtures("clean")


def test_a_parameters_text_arrives_exactly(stack: Devstack) -> None:
    run = succeeded(stack, "line.py", "--param", f"text={TEXT}")
    assert artifact(stack, "ArgoLineFlow", run, "end", "seen") == TEXT
    # Metaflow's heartbeat is a pod too.
    assert {"start", "end"} <= {task["step"] for task in run["tasks"]}
    logs = argo(stack, "logs", run["run_id"], "end")["data"]["logs"]
    assert any(f"seen: {TEXT}" in line for line in logs[0]["lines"])


def test_a_foreach_is_joined_and_its_failed_item_is_retried(stack: Devstack) -> None:
    run = succeeded(stack, "fan.py")
    results = artifact(stack, "ArgoFanFlow", run, "join", "results")
    assert results == [[1, 0], [4, 1], [9, 0]]


def test_a_conditional_takes_one_branch_and_may_lead_back(stack: Devstack) -> None:
    run = succeeded(stack, "choice.py")
    assert artifact(stack, "ArgoChoiceFlow", run, "tell", "count") == 2


def test_a_parallel_step_is_a_gang(stack: Devstack) -> None:
    run = succeeded(stack, "ranks.py")
    assert artifact(stack, "ArgoRanksFlow", run, "join", "ranks") == [0, 1]
    (jobset,) = objects(stack, "jobsets", f"--selector={WORKFLOW}={run['run_id']}")
    assert jobset["metadata"]["labels"]["devstack.dev/gang"] == "true"
    assert jobset["metadata"]["ownerReferences"][0]["kind"] == "Workflow"


def test_a_failed_run_names_the_step_and_ends_with_its_output(stack: Devstack) -> None:
    template = deploy(stack, "broken.py")
    done = stack.run("argo", "trigger", template, "--wait", check=False)
    assert done.returncode == ExitStatus.FLOW_FAILED
    for text in ("load-data", "out of fuel"):
        assert text in done.stdout + done.stderr


def test_a_schedule_with_a_time_zone_starts_runs(stack: Devstack) -> None:
    # No zone but UTC is known to a program without a database of time zones.
    template = deploy(stack, "line.py", "--schedule", "* * * * *", "--paused")
    change = '{"spec": {"timezone": "Europe/Berlin", "suspend": false}}'
    target = ("cronworkflow", template, "--namespace=metaflow", "--type=merge")
    stack.admin_kubectl("patch", *target, "--patch", change)

    def scheduled() -> list[Any]:
        runs = argo(stack, "runs", template)["data"]["runs"]
        return [run for run in runs if run["kind"] == "scheduled"]

    eventually("a scheduled run", scheduled, timeout=150, interval=3)


def test_the_users_code_gets_no_token_of_kubernetes(stack: Devstack) -> None:
    run = succeeded(stack, "line.py")
    for pod in objects(stack, "pods", f"--selector={WORKFLOW}={run['run_id']}"):
        mounts = {
            container["name"]: [mount["name"] for mount in container["volumeMounts"]]
            for container in pod["spec"]["containers"]
        }
        assert "exec-sa-token" in mounts["wait"]
        assert not any("token" in name or "api-access" in name for name in mounts["main"])


def test_a_deleted_deployment_leaves_nothing(stack: Devstack) -> None:
    template = deploy(stack, "ranks.py", "--schedule", "daily")
    run_to_end(stack, template)
    stack.run("argo", "delete", template)
    for kind in ("workflowtemplates", "cronworkflows", "workflows", "jobsets"):
        assert objects(stack, kind) == [], kind
    assert objects(stack, "pods", f"--selector={WORKFLOW}") == []
    # Kubernetes deletes what a deleted object owned in the background.
    eventually("no results to be left", lambda: not objects(stack, "workflowtaskresults"))
