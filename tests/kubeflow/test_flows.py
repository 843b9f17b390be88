"""Flows are deployed to Kubeflow Pipelines, run, explained and deleted with `devstack kubeflow`."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from devstack.errors import ExitStatus
from tests.kubeflow.flows_on_kubeflow import FLOWS, RUN_SECONDS, WORKFLOW, KubeflowStack
from tests.support.eventually import eventually

TEXT = """it's "quoted" {x} #1; $HOME $(date) $$ `id` \\ & <a> | !x ~ * ? Zürich"""
pytestmark = pytest.mark.usefixtures("clean")


def test_a_parameters_text_arrives_exactly(stack: KubeflowStack) -> None:
    name = stack.deploy("line.py")
    run = stack.run_to_end(name, "--param", f"text={TEXT}")["data"]
    assert run["state"] == "succeeded"
    assert stack.artifact("KubeflowLineFlow", run, "end", "seen") == TEXT
    assert {"start", "load-data", "end"} == {task["step"] for task in run["tasks"]}
    logs = stack.kubeflow("logs", run["run_id"], "end")["data"]["logs"]
    assert any(f"seen: {TEXT}" in line for line in logs[0]["lines"])


def test_a_text_that_argo_would_change_is_refused(stack: KubeflowStack) -> None:
    name = stack.deploy("line.py")
    for text in ("{{workflow.name}}", "bell \a"):
        argv = ("kubeflow", "trigger", name, "--param", f"text={text}")
        assert stack.devstack.run(*argv, check=False).returncode == ExitStatus.USAGE, text
    assert stack.kubeflow("runs", name)["data"]["runs"] == []


def test_a_failed_run_names_the_step_and_ends_with_its_output(stack: KubeflowStack) -> None:
    name = stack.deploy("line.py")
    argv = ("kubeflow", "trigger", name, "--param", "text=broken", "--wait")
    done = stack.devstack.run(*argv, check=False)
    assert done.returncode == ExitStatus.FLOW_FAILED
    for text in ("load-data", "out of fuel"):
        assert text in done.stdout + done.stderr


def test_a_gang_is_refused_with_the_reason(stack: KubeflowStack) -> None:
    python = ("--python", str(stack.python))
    argv = ("kubeflow", "deploy", str(FLOWS / "gang.py"), *python)
    done = stack.devstack.run(*argv, check=False)
    assert done.returncode == ExitStatus.USAGE
    assert "@parallel" in done.stdout + done.stderr
    assert stack.kubeflow("list")["data"]["deployments"] == []


def test_a_python_without_the_package_is_told_how_to_get_it(stack: KubeflowStack) -> None:
    argv = ("kubeflow", "deploy", str(FLOWS / "line.py"), "--python", sys.executable)
    done = stack.devstack.run(*argv, check=False)
    assert done.returncode == ExitStatus.USAGE
    assert "-m pip install metaflow-kubeflow" in done.stdout + done.stderr


def test_a_schedule_starts_runs_and_is_suspended(stack: KubeflowStack) -> None:
    name = stack.deploy("line.py", "--schedule", "* * * * *")

    def scheduled() -> list[Any]:
        runs = stack.kubeflow("runs", name)["data"]["runs"]
        return [run for run in runs if run["kind"] == "scheduled"]

    eventually("a scheduled run", scheduled, timeout=150, interval=3)
    stack.kubeflow("suspend", name)
    (cron,) = stack.objects("cronworkflows")
    assert cron["spec"]["suspend"] is True

    def succeeded() -> bool:
        return any(run["state"] == "succeeded" for run in scheduled())

    eventually("its end", succeeded, timeout=RUN_SECONDS, interval=3)


def test_the_users_code_gets_no_token_of_kubernetes(stack: KubeflowStack) -> None:
    run = stack.run_to_end(stack.deploy("line.py"))["data"]
    assert run["state"] == "succeeded"
    pods = stack.objects("pods", f"--selector={WORKFLOW}")
    assert pods
    for pod in pods:
        mounts = {
            container["name"]: [mount["name"] for mount in container["volumeMounts"]]
            for container in pod["spec"]["containers"]
        }
        assert "exec-sa-token" in mounts["wait"]
        assert not any("token" in name or "api-access" in name for name in mounts["main"])


def test_a_deleted_deployment_leaves_nothing(stack: KubeflowStack) -> None:
    name = stack.deploy("line.py", "--schedule", "daily")
    stack.run_to_end(name)
    stack.devstack.run("kubeflow", "delete", name)
    assert stack.objects("workflows") == []
    assert stack.objects("pods", f"--selector={WORKFLOW}") == []
    # Kubernetes lets go of what a schedule owned, and deletes what a workflow owned, later.
    eventually("no schedule to be left", lambda: not stack.objects("cronworkflows"))
    eventually("no results to be left", lambda: not stack.objects("workflowtaskresults"))
