"""`devstack kubeflow` against the service: deliver, trigger, follow, explain, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from devstack.deployers.base import DeployOptions
from devstack.deployers.kubeflow.compile import CompiledPipeline, compile_flow
from devstack.deployers.kubeflow.deployer import KubeflowDeployer, open_deployer
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.source import FlowSource
from devstack.kube.client import Object
from devstack.kube.resources import ARGO
from devstack.process import SubprocessRunner
from devstack.services import kubeflow
from tests.conformance.kubeflow.service import DATA, Service
from tests.conformance.kubeflow.workflow_api import WorkflowApi
from tests.fakes.airflow import airflow_stack
from tests.fakes.api import FakeApi, namespace, pod, waiting
from tests.support.dag_compilation import compile_environment

pytestmark = pytest.mark.docker

_NAMES = (f"Deployed{number}" for number in count(1))
Compile = Callable[..., CompiledPipeline]


def silent(_text: str) -> None:
    """Show nothing."""


@pytest.fixture
def kube() -> FakeApi:
    """The cluster's API, as devstack sees it; the service has another one."""
    found = FakeApi()
    found.add(namespace("metaflow"))
    return found


@pytest.fixture
def deployer(
    service: Service, kube: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> KubeflowDeployer:
    stack = airflow_stack(1, tmp_path)
    stack.state.ports["kubeflow"] = service.port
    stack.state.credentials[kubeflow.TOKEN] = service.token
    monkeypatch.setattr(stack, "kube", lambda *_arguments, **_options: kube.client())
    return open_deployer(stack)


def compiled(name: str = "", schedule: str = "", *, paused: bool = False) -> CompiledPipeline:
    text = (DATA / "nested_flow.yaml").read_text()
    return CompiledPipeline(name or next(_NAMES), "NestedFlow", text, schedule, paused, "")


def error_of(act: Any, *arguments: Any, **options: Any) -> DevstackError:
    with pytest.raises(DevstackError) as caught:
        act(*arguments, **options)
    return caught.value


def workflow(run_id: str, phase: str, node_phase: str) -> Object:
    """Return a workflow with one task, as the controller has it."""
    node = {
        "id": "node-1",
        "name": "nestedflow-1.start",
        "displayName": "start",
        "templateName": "start",
        "type": "Pod",
        "phase": node_phase,
        "startedAt": "2026-11-28T05:00:00Z",
        "message": "Error (exit code 1)" if node_phase == "Failed" else "",
    }
    return {
        "apiVersion": ARGO,
        "kind": "Workflow",
        "metadata": {
            "name": "nestedflow-1",
            "namespace": "metaflow",
            "labels": {"pipeline/runid": run_id},
        },
        "status": {"phase": phase, "nodes": {"node-1": node}},
    }


def test_a_deployment_has_one_version_and_one_schedule(
    deployer: KubeflowDeployer, service: Service, api: WorkflowApi
) -> None:
    made = compiled(schedule="0 30 6 * * ?")
    first = deployer.deliver(made, silent)
    second = deployer.deliver(made, silent)
    assert (second.name, second.schedule) == (made.name, "0 30 6 * * ?")
    assert first.details["pipeline_id"] == second.details["pipeline_id"]
    path = f"pipelines/{second.details['pipeline_id']}/versions"
    names = [each["display_name"] for each in service.get(path)["pipeline_versions"]]
    assert names == [first.details["version"], second.details["version"]]
    (found,) = (each for each in deployer.deployments() if each["name"] == made.name)
    assert found == {
        "name": made.name,
        "flow": "NestedFlow",
        "schedule": "0 30 6 * * ?",
        "timezone": "UTC",
        "suspended": False,
    }
    assert len(api.crons) == 1
    deployer.set_paused(made.name, True)
    (found,) = (each for each in deployer.deployments() if each["name"] == made.name)
    assert found["suspended"]
    deployer.deliver(compiled(made.name), silent)
    assert api.crons == {}
    assert error_of(deployer.set_paused, made.name, True).code == "SCHEDULE_NONE"
    deployer.delete(made.name, force=False)


def test_a_schedule_that_is_refused_leaves_the_former_one(
    deployer: KubeflowDeployer, api: WorkflowApi
) -> None:
    made = compiled(schedule="0 30 6 * * ?")
    deployer.deliver(made, silent)
    error = error_of(deployer.deliver, compiled(made.name, "7 30 6 * * ?"), silent)
    assert (error.code, error.exit_status) == ("KUBEFLOW_REFUSED", ExitStatus.USAGE)
    assert "full minutes" in error.cause
    (cron,) = api.crons.values()
    assert cron["spec"]["schedules"] == ["30 6 * * ?"]
    deployer.delete(made.name, force=False)


def test_a_deployment_is_found_by_its_flow_if_it_is_the_only_one(
    deployer: KubeflowDeployer,
) -> None:
    made = compiled()
    deployer.deliver(made, silent)
    assert deployer.resolve("NestedFlow") == made.name
    second = compiled()
    deployer.deliver(second, silent)
    assert error_of(deployer.resolve, "NestedFlow").code == "DEPLOYMENT_AMBIGUOUS"
    unknown = error_of(deployer.resolve, f"{made.name}x")
    assert unknown.code == "DEPLOYMENT_UNKNOWN"
    assert made.name in unknown.remedy
    for each in (made, second):
        deployer.delete(each.name, force=False)


def test_a_run_is_triggered_and_found_by_every_name(deployer: KubeflowDeployer) -> None:
    made = compiled()
    deployer.deliver(made, silent)
    run = deployer.trigger(made.name, {})
    assert (run.name, run.state, run.kind) == (made.name, "pending", "manual")
    for name in (run.run_id, run.metaflow_id, f"NestedFlow/{run.metaflow_id}", made.name):
        assert deployer.find_run(name).run_id == run.run_id
    assert [each.run_id for each in deployer.runs(made.name)] == [run.run_id]
    assert error_of(deployer.trigger, made.name, {"n": "1"}).code == "PARAMETER_WRONG"
    assert error_of(deployer.find_run, "nothing").code == "RUN_UNKNOWN"
    deployer.delete(made.name, force=True)


def test_a_failed_run_is_explained_by_its_task(
    deployer: KubeflowDeployer, api: WorkflowApi, kube: FakeApi
) -> None:
    made = compiled()
    deployer.deliver(made, silent)
    run = deployer.trigger(made.name, {})
    (name,) = (
        name
        for name, each in api.workflows.items()
        if each["metadata"]["labels"]["pipeline/runid"] == run.run_id
    )
    api.set_phase(name, "Failed", "child failed")
    kube.add(workflow(run.run_id, "Failed", "Failed"))
    result = deployer.follow(run, silent, timeout=10)
    assert not result.ok
    error = deployer.failure(result)
    assert error.exit_status == ExitStatus.FLOW_FAILED
    assert "task start failed: Error (exit code 1)" in error.cause
    assert f"devstack kubeflow logs {run.metaflow_id} start" in error.remedy
    kube.objects = {path: item for path, item in kube.objects.items() if "workflows" not in path}
    assert error_of(list, deployer.logs(run)).code == "RUN_UNKNOWN"
    deployer.delete(made.name, force=False)


def test_active_runs_are_deleted_with_force_only(
    deployer: KubeflowDeployer, service: Service, api: WorkflowApi
) -> None:
    made = compiled(schedule="0 * * * * ?")
    deployer.deliver(made, silent)
    run = deployer.trigger(made.name, {})
    (cron,) = api.crons
    api.start_scheduled(cron)
    busy = error_of(deployer.delete, made.name, force=False)
    assert (busy.code, "2 of its runs" in busy.cause) == ("DEPLOYMENT_BUSY", True)
    deployer.delete(made.name, force=True)
    assert api.crons == {}
    assert not [each for each in api.workflows.values() if run.run_id in str(each["metadata"])]
    assert error_of(deployer.resolve, made.name).code == "DEPLOYMENT_UNKNOWN"


def test_an_outage_of_the_api_is_told(deployer: KubeflowDeployer, api: WorkflowApi) -> None:
    api.failing = True
    error = error_of(deployer.runs)
    assert error.code == "KUBEFLOW_UNREACHABLE"
    assert "503" in error.cause


def test_a_pod_that_cannot_start_stops_the_run(
    deployer: KubeflowDeployer, api: WorkflowApi, kube: FakeApi
) -> None:
    made = compiled()
    deployer.deliver(made, silent)
    run = deployer.trigger(made.name, {})
    kube.add(workflow(run.run_id, "Running", "Pending"))
    labels = {"workflows.argoproj.io/workflow": "nestedflow-1"}
    status = waiting("InvalidImageName", image="x:")
    stuck = pod("start", "metaflow", labels, containerStatuses=[status])
    stuck["spec"]["nodeName"] = "node"
    kube.add(stuck)
    error = error_of(deployer.follow, run, silent, timeout=10)
    assert "was stopped" in str(error)
    (spec,) = (
        each["spec"]
        for each in api.workflows.values()
        if each["metadata"]["labels"]["pipeline/runid"] == run.run_id
    )
    assert spec["shutdown"] == "Terminate"


@pytest.fixture
def compile_with_package(
    kubeflow_python: Path, flow_variables: dict[str, str], tmp_path: Path
) -> Compile:
    """Compiles a flow as `devstack kubeflow deploy` does, with metaflow-kubeflow."""
    address = flow_variables["AWS_ENDPOINT_URL_S3"]
    env = compile_environment(tmp_path, address, **flow_variables)

    def compile_(file: Path, **options: Any) -> CompiledPipeline:
        own = replace(env, python=kubeflow_python)
        return compile_flow(DeployOptions(FlowSource(file), **options), own, SubprocessRunner())

    return compile_


def test_a_flow_is_compiled_and_delivered(
    compile_with_package: Compile, deployer: KubeflowDeployer, api: WorkflowApi
) -> None:
    made = compile_with_package(DATA / "linear_flow.py", name="mine", schedule="none")
    assert (made.name, made.flow, made.schedule) == ("mine", "LinearFlow", "")
    deployer.deliver(made, silent)
    run = deployer.trigger("mine", {"missing": "4", "flag": "no"})
    assert run.parameters == {"missing": "4", "flag": "false"}
    # Nothing is uploaded while compiling, and the flow's own schedule is used without an option.
    assert compile_with_package(DATA / "linear_flow.py").schedule == "0 30 6 * * *"
    assert api.crons == {}
    deployer.delete("mine", force=True)


def test_what_cannot_run_is_refused_with_every_reason(
    compile_with_package: Compile, tmp_path: Path
) -> None:
    text = (DATA / "nested_flow.py").read_text()
    file = tmp_path / "events.py"
    file.write_text(
        text.replace("class ", "from metaflow import trigger\n@trigger(event='e')\nclass ")
    )
    error = error_of(compile_with_package, file, project="other", create_options=["--tag", "a b"])
    assert error.code == "FLOW_UNSUPPORTED"
    for reason in ("--project other", "@trigger", "tag 'a b'"):
        assert reason in error.output


def test_a_wrong_value_is_refused_before_the_upload(compile_with_package: Compile) -> None:
    error = error_of(compile_with_package, DATA / "linear_flow.py", parameters={"count": "three"})
    assert error.code == "PARAMETER_WRONG"
