"""Faults of Kubeflow Pipelines on a real stack: what `devstack doctor` and `why` say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kubeflow.flows_on_kubeflow import KubeflowStack
from tests.support.eventually import eventually


def codes(stack: KubeflowStack) -> list[str]:
    """Return the codes of what the check `pipelines` finds."""
    checks = stack.devstack.json("doctor", check=False)["data"]["checks"]
    (found,) = (each for each in checks if each["name"] == "pipelines")
    return [finding["code"] for finding in found["findings"]]


@pytest.fixture
def repaired(stack: KubeflowStack) -> Iterator[None]:
    """Let `devstack up` repair what a test has broken."""
    yield
    stack.devstack.run("up")


def test_a_healthy_service_has_no_findings(stack: KubeflowStack) -> None:
    assert codes(stack) == []


@pytest.mark.usefixtures("repaired")
def test_a_service_that_is_down_is_reported(stack: KubeflowStack) -> None:
    scale = ("scale", "deployment/ml-pipeline", "--namespace=kubeflow", "--replicas=0")
    stack.devstack.admin_kubectl(*scale)
    assert codes(stack) == ["PIPELINES_DOWN"]
    stack.devstack.run("up")
    assert codes(stack) == []


@pytest.mark.usefixtures("repaired")
def test_a_database_that_is_down_is_reported(stack: KubeflowStack) -> None:
    scale = ("scale", "deployment/postgres", "--namespace=postgres", "--replicas=0")
    stack.devstack.admin_kubectl(*scale)
    # The service waits some seconds for a connection before it says that there is none.
    eventually("the finding", lambda: codes(stack) == ["PIPELINES_DATABASE"], timeout=90)


@pytest.mark.usefixtures("clean")
def test_a_recurring_run_that_argo_cannot_start_is_reported(stack: KubeflowStack) -> None:
    stack.deploy("line.py", "--schedule", "daily")
    (cron,) = stack.objects("cronworkflows")
    changed = '{"spec": {"schedules": ["0 0 32 * *"]}}'
    name = cron["metadata"]["name"]
    patch = ("patch", "cronworkflow", name, "--namespace=metaflow", "--type=merge", f"-p={changed}")
    stack.devstack.admin_kubectl(*patch)
    eventually("the finding", lambda: codes(stack) == ["RECURRING_RUN_INVALID"], timeout=90)


@pytest.mark.usefixtures("clean")
def test_why_names_the_flow_and_the_run(stack: KubeflowStack) -> None:
    run = stack.kubeflow("trigger", stack.deploy("sleep.py"))["data"]
    subject = f"run KubeflowSleepFlow/{run['metaflow_run_id']} of KubeflowSleepFlow"

    def running() -> bool:
        answer = stack.devstack.json("why", run["run_id"])["data"]
        assert answer["subject"] == subject
        return answer["state"] == "running" and "start" in answer["because"]

    eventually("the answer that it runs", running, timeout=120, interval=2)
    (workflow,) = stack.objects("workflows")
    by_workflow = stack.devstack.json("why", workflow["metadata"]["name"])["data"]
    assert by_workflow["subject"] == subject
