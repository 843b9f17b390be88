"""The samples for Kubeflow Pipelines run successfully, and their results are correct."""

from __future__ import annotations

from typing import Any

import pytest

from devstack.samples.catalogue import KUBEFLOW_SAMPLES
from tests.kubeflow.flows_on_kubeflow import FLOWS, KubeflowStack
from tests.support.eventually import eventually

NAMES = [sample.name for sample in KUBEFLOW_SAMPLES]


@pytest.fixture(scope="module")
def ran(stack: KubeflowStack) -> dict[str, Any]:
    """The results of `devstack run --kubeflow` by the sample's name."""
    return stack.devstack.samples("--kubeflow", "--python", str(stack.python))


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_succeeds(ran: dict[str, Any], name: str) -> None:
    sample = ran[name]
    assert sample["ok"], sample["wrong"] or sample["error"]
    assert sample["checked"] >= 5
    assert sample["state"] == "succeeded"


@pytest.mark.usefixtures("ran")
def test_a_sample_that_passed_is_deleted(stack: KubeflowStack) -> None:
    assert stack.kubeflow("list")["data"]["deployments"] == []
    # Kubernetes deletes it when it has let go of the schedule's runs.
    eventually("no schedule to be left", lambda: not stack.objects("cronworkflows"))


@pytest.mark.usefixtures("clean")
def test_a_flow_of_the_users_is_deployed_run_and_kept(stack: KubeflowStack) -> None:
    flow = ("--python", str(stack.python), str(FLOWS / "line.py"))
    done = stack.devstack.run("run", "--kubeflow", *flow, "--", "--text", "hello")
    assert "succeeded" in done.stdout
    logs = stack.devstack.run("kubeflow", "logs", "KubeflowLineFlow", "end").stdout
    assert "seen: hello" in logs
