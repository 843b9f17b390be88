"""`devstack why` explains runs of Kubeflow Pipelines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devstack.cli import why
from devstack.errors import DevstackError
from devstack.ports import any_free
from devstack.stack import Stack
from devstack.why.answer import Answer
from tests.fakes.api import FakeApi, available, namespace, pod, waiting
from tests.fakes.argo import argo_stack, node
from tests.fakes.pipelines import (
    RUN_ID,
    Pipelines,
    pipeline_run,
    pipeline_workflow,
    serve_pipelines,
)

Explain = Callable[..., Answer]
SUBJECT = f"run MyFlow/kfp-{RUN_ID} of myflow"


@pytest.fixture
def server() -> Iterator[Pipelines]:
    with serve_pipelines() as made:
        made.runs = [pipeline_run()]
        yield made


@pytest.fixture
def api() -> FakeApi:
    up = FakeApi()
    up.add(namespace("metaflow"), namespace("argo"), available("argo-controller", "argo"))
    return up


@pytest.fixture
def stack(
    tmp_path: Path, api: FakeApi, server: Pipelines, monkeypatch: pytest.MonkeyPatch
) -> Stack:
    made = argo_stack(tmp_path, api, monkeypatch)
    made.services = [each for each in made.services if each.name != "airflow"]
    made.state.ports["kubeflow"] = server.port
    return made


@pytest.fixture
def explain(stack: Stack) -> Explain:
    def explain(name: str = RUN_ID) -> Answer:
        return why._explain(stack, name, "metaflow")

    return explain


@pytest.mark.parametrize(
    "name",
    [RUN_ID, f"kfp-{RUN_ID}", f"MyFlow/kfp-{RUN_ID}", "myflow", "MyFlow", "myflow-1"],
)
def test_a_run_is_found_by_any_of_its_names(explain: Explain, api: FakeApi, name: str) -> None:
    api.add(pipeline_workflow(nodes=(node("start", "Running"),)))
    answer = explain(name)
    assert (answer.subject, answer.because) == (SUBJECT, "running: start")


@pytest.mark.parametrize("name", ["MyFlow/start", f"{RUN_ID}/start", "myflow-1/start"])
def test_a_pod_that_cannot_start_is_explained(explain: Explain, api: FakeApi, name: str) -> None:
    waits, runs = node("start", "Pending"), node("other", "Running")
    labels = {"workflows.argoproj.io/workflow": "myflow-1"}
    image = waiting("InvalidImageName", "couldn't parse image")
    stuck = pod("p", "metaflow", labels=labels, containerStatuses=[image])
    stuck["metadata"]["annotations"] = {"workflows.argoproj.io/node-id": waits["id"]}
    stuck["spec"]["nodeName"] = "n"
    api.add(pipeline_workflow(nodes=(waits, runs)), stuck)
    answer = explain(name)
    assert (answer.subject, answer.state) == (SUBJECT, "stuck")
    assert answer.because.startswith("Pod metaflow/p: ")
    assert explain("MyFlow/other").because == "running: other"
    with pytest.raises(DevstackError) as unknown:
        explain("MyFlow/wrok")
    assert unknown.value.code == "TASK_UNKNOWN"


def test_a_failed_run_is_explained_with_kubeflows_commands(
    explain: Explain, api: FakeApi, server: Pipelines
) -> None:
    server.runs = [pipeline_run(state="FAILED")]
    failed = node("start", "Failed", message="exit 1", finishedAt="2026-11-27T03:00:09Z")
    api.add(pipeline_workflow("Failed", nodes=(failed,)))
    answer = explain()
    assert (answer.state, answer.because) == ("failed", "task start failed: exit 1")
    assert answer.remedy == f"devstack kubeflow logs kfp-{RUN_ID} start"


def test_a_suspended_run_is_resumed_on_argos_page(explain: Explain, api: FakeApi) -> None:
    item = pipeline_workflow(nodes=(node("start", "Pending"),))
    item["spec"]["suspend"] = True
    api.add(item)
    assert (explain().state, "devstack kubeflow open" in explain().remedy) == ("waiting", True)


@pytest.mark.parametrize(
    ("state", "answered"), [("SUCCEEDED", "ended"), ("FAILED", "failed"), ("RUNNING", "stuck")]
)
def test_a_run_without_a_workflow_has_what_the_api_knows(
    explain: Explain, server: Pipelines, state: str, answered: str
) -> None:
    server.runs = [pipeline_run(state=state)]
    answer = explain()
    assert (answer.subject, answer.state) == (f"run kfp-{RUN_ID} of myflow", answered)


@pytest.mark.parametrize("name", [RUN_ID, f"kfp-{RUN_ID}", "myflow-1", "myflow-1/start"])
def test_the_cluster_suffices_if_the_api_is_down(
    explain: Explain, api: FakeApi, stack: Stack, name: str
) -> None:
    stack.state.ports["kubeflow"] = any_free(set())
    api.add(pipeline_workflow(nodes=(node("start", "Running"),)))
    answer = explain(name)
    assert (answer.because, RUN_ID in answer.subject) == ("running: start", True)


def test_an_api_that_is_down_is_named_if_nothing_else_knows_the_run(
    explain: Explain, stack: Stack
) -> None:
    stack.state.ports["kubeflow"] = any_free(set())
    with pytest.raises(DevstackError) as caught:
        explain("myflow")
    assert caught.value.code == "KUBEFLOW_UNREACHABLE"


def test_a_name_that_nothing_has_says_what_was_looked_for(explain: Explain) -> None:
    with pytest.raises(DevstackError, match="no run of Argo or Kubeflow"):
        explain("nothing")
