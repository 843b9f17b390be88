"""What metaflow-kubeflow and kfp's client rely on, request by request."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
import requests

from tests.conformance.kubeflow.service import Service
from tests.conformance.kubeflow.workflow_api import WorkflowApi

pytestmark = pytest.mark.docker

_NAMES = (f"pipeline-{number}" for number in count(1))


def by_name(name: str, operation: object = 1) -> str:
    predicate = {"operation": operation, "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})


def uploaded(service: Service, file: str = "loop-pipeline") -> dict[str, Any]:
    answer = service.upload(next(_NAMES), file)
    assert answer.ok, answer.text
    made: dict[str, Any] = answer.json()
    return made


def started(service: Service, **parameters: Any) -> dict[str, Any]:
    return started_with(service, runtime_config={"parameters": parameters})


def started_with(service: Service, **fields: Any) -> dict[str, Any]:
    made = uploaded(service)
    body = {
        "display_name": f"run of {made['display_name']}",
        "pipeline_version_reference": {"pipeline_id": made["pipeline_id"]},
        **fields,
    }
    return service.post("runs", body)


def workflow_of(api: WorkflowApi, run: dict[str, Any]) -> dict[str, Any]:
    return next(
        each
        for each in api.workflows.values()
        if each["metadata"]["labels"]["pipeline/runid"] == run["run_id"]
    )


@pytest.mark.parametrize("token", [None, "", "another"])
def test_requests_without_the_token_are_rejected(service: Service, token: str | None) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = requests.get(f"{service.url}/apis/v2beta1/runs", headers=headers, timeout=10)
    assert answer.status_code == 401
    assert "DEVSTACK_KUBEFLOW_TOKEN" in answer.json()["message"]


def test_it_is_for_one_user_and_a_client_may_ask_that_first(service: Service) -> None:
    answer = requests.get(f"{service.url}/apis/v2beta1/healthz", timeout=10)
    assert answer.json()["multi_user"] is False


def test_an_upload_makes_a_pipeline_with_a_version_of_its_name(service: Service) -> None:
    made = uploaded(service)
    (found,) = service.get("pipelines", filter=by_name(made["display_name"]))["pipelines"]
    assert found["pipeline_id"] == made["pipeline_id"]
    (version,) = service.get(f"pipelines/{made['pipeline_id']}/versions")["pipeline_versions"]
    assert version["display_name"] == made["display_name"]


def test_a_name_is_used_once(service: Service) -> None:
    made = uploaded(service)
    assert service.upload(made["display_name"], "loop-pipeline").status_code == 409
    ids = {"pipelineid": made["pipeline_id"]}
    assert service.upload("second", "loop-pipeline", **ids).ok
    assert service.upload("second", "loop-pipeline", **ids).status_code == 409
    assert service.upload("third", "loop-pipeline", pipelineid="unknown").status_code == 404


def test_a_version_has_both_documents_of_its_file(service: Service) -> None:
    made = uploaded(service, "nested_flow")
    (version,) = service.get(f"pipelines/{made['pipeline_id']}/versions")["pipeline_versions"]
    path = f"pipelines/{made['pipeline_id']}/versions/{version['pipeline_version_id']}"
    spec = service.get(path)["pipeline_spec"]
    executors = spec["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    annotations = next(iter(executors.values()))["podMetadata"]["annotations"]
    assert annotations["metaflow/owner"] == "tester"
    assert spec["pipeline_spec"]["pipelineInfo"]["name"] == "nestedflow"


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("condition", "dsl.If"),
        ("artifact", "artifacts are not supported: made"),
        ("python-component", "@dsl.container_component"),
        ("secret", "secretAsEnv"),
    ],
)
def test_what_cannot_run_is_rejected_by_name(service: Service, file: str, reason: str) -> None:
    answer = service.upload(next(_NAMES), file)
    assert answer.status_code == 400
    assert reason in answer.json()["message"]


def test_pages_show_each_version_once(service: Service) -> None:
    made = uploaded(service)
    for number in range(4):
        service.upload(f"v{number}", "fixed-items", pipelineid=made["pipeline_id"])
    seen, token = [], ""
    while True:
        path = f"pipelines/{made['pipeline_id']}/versions"
        page = service.get(path, page_size=2, page_token=token, sort_by="created_at desc")
        seen += [each["display_name"] for each in page["pipeline_versions"]]
        token = page["next_page_token"]
        if not token:
            break
    assert seen == ["v3", "v2", "v1", "v0", made["display_name"]]
    assert page["total_size"] == 5


def test_a_pipeline_with_versions_is_deleted_with_cascade_only(service: Service) -> None:
    made = uploaded(service)
    path = f"pipelines/{made['pipeline_id']}"
    assert service.request("DELETE", path).status_code == 400
    service.delete(f"{path}?cascade=true")
    assert service.request("GET", path).status_code == 404


def test_a_run_becomes_a_workflow(service: Service, api: WorkflowApi) -> None:
    run = started(service, count=7)
    workflow = workflow_of(api, run)
    values = {each["name"]: each["value"] for each in workflow["spec"]["arguments"]["parameters"]}
    assert values == {"count": "7", "label": "run"}
    assert workflow["spec"]["serviceAccountName"] == "metaflow-task"


def test_the_state_of_a_run_is_that_of_its_workflow(service: Service, api: WorkflowApi) -> None:
    run = started(service)
    name = workflow_of(api, run)["metadata"]["name"]
    assert service.get(f"runs/{run['run_id']}")["state"] == "PENDING"
    api.set_phase(name, "Running")
    assert service.get(f"runs/{run['run_id']}")["state"] == "RUNNING"
    api.set_phase(name, "Failed", "a task failed")
    ended = service.get(f"runs/{run['run_id']}")
    assert (ended["state"], ended["error"]["message"]) == ("FAILED", "a task failed")
    assert ended["finished_at"] == "2026-11-28T05:00:00Z"
    # Its end is known even when Argo has deleted the workflow.
    del api.workflows[name]
    assert service.get(f"runs/{run['run_id']}")["state"] == "FAILED"


def test_a_terminated_run_is_canceled(service: Service, api: WorkflowApi) -> None:
    run = started(service)
    workflow = workflow_of(api, run)
    service.post(f"runs/{run['run_id']}:terminate")
    assert workflow["spec"]["shutdown"] == "Terminate"
    assert service.get(f"runs/{run['run_id']}")["state"] == "CANCELING"
    api.set_phase(workflow["metadata"]["name"], "Failed")
    assert service.get(f"runs/{run['run_id']}")["state"] == "CANCELED"


def test_wrong_parameters_are_rejected_by_name(service: Service) -> None:
    made = uploaded(service)
    body = {
        "display_name": "x",
        "pipeline_version_reference": {"pipeline_id": made["pipeline_id"]},
        "runtime_config": {"parameters": {"cuont": 3}},
    }
    answer = service.request("POST", "runs", json=body)
    assert answer.status_code == 400
    assert "cuont" in answer.json()["message"]


def test_a_run_that_kubernetes_refuses_leaves_no_record(service: Service, api: WorkflowApi) -> None:
    made = uploaded(service)
    api.failing = True
    reference = {"pipeline_id": made["pipeline_id"]}
    body = {"display_name": "lost", "pipeline_version_reference": reference}
    assert service.request("POST", "runs", json=body).status_code == 503
    api.failing = False
    assert service.get("runs", filter=by_name("lost"))["runs"] == []


def test_an_unknown_run_is_not_found(service: Service) -> None:
    assert service.request("GET", "runs/none").status_code == 404


def test_a_deleted_run_leaves_no_workflow(service: Service, api: WorkflowApi) -> None:
    run = started(service)
    name = workflow_of(api, run)["metadata"]["name"]
    service.delete(f"runs/{run['run_id']}")
    assert name not in api.workflows
    assert service.request("GET", f"runs/{run['run_id']}").status_code == 404


def scheduled(service: Service, **fields: Any) -> dict[str, Any]:
    made = uploaded(service)
    body = {
        "display_name": f"{made['display_name']} (schedule)",
        "pipeline_version_reference": {"pipeline_id": made["pipeline_id"]},
        "trigger": {"cron_schedule": {"cron": "0 30 6 * * ?"}},
        "max_concurrency": "1",
        "mode": "ENABLE",
        "no_catchup": True,
        **fields,
    }
    return service.post("recurringruns", body)


def test_a_recurring_run_becomes_a_cron_workflow(service: Service, api: WorkflowApi) -> None:
    made = scheduled(service)
    cron = next(
        each
        for each in api.crons.values()
        if each["metadata"]["labels"]["pipeline/recurring-run-id"] == made["recurring_run_id"]
    )
    assert cron["spec"]["schedules"] == ["30 6 * * ?"]
    listed = service.get("recurringruns", filter=by_name(made["display_name"], "EQUALS"))
    assert [each["recurring_run_id"] for each in listed["recurringRuns"]] == [
        made["recurring_run_id"]
    ]
    service.post(f"recurringruns/{made['recurring_run_id']}:disable")
    assert cron["spec"]["suspend"] is True


def test_an_archived_experiment_takes_its_runs_and_starts_no_others(
    service: Service, api: WorkflowApi
) -> None:
    experiment = service.post("experiments", {"display_name": "aside"})["experiment_id"]
    job = scheduled(service, experiment_id=experiment)["recurring_run_id"]
    run = started_with(service, experiment_id=experiment)["run_id"]
    service.post(f"experiments/{experiment}:archive")
    assert service.get(f"experiments/{experiment}")["storage_state"] == "ARCHIVED"
    assert service.get(f"runs/{run}")["storage_state"] == "ARCHIVED"
    assert service.get(f"recurringruns/{job}")["status"] == "DISABLED"
    labels = [each["metadata"]["labels"] for each in api.crons.values() if each["spec"]["suspend"]]
    assert job in {each["pipeline/recurring-run-id"] for each in labels}
    answer = service.request("POST", f"runs/{run}:unarchive")
    assert answer.status_code == 400
    assert "its experiment is archived" in answer.json()["message"]
    service.post(f"experiments/{experiment}:unarchive")
    assert service.get(f"runs/{run}")["storage_state"] == "ARCHIVED"
    service.post(f"runs/{run}:unarchive")
    assert service.get(f"runs/{run}")["storage_state"] == "AVAILABLE"
    service.post(f"runs/{run}:archive")
    assert service.get(f"runs/{run}")["storage_state"] == "ARCHIVED"


def test_runs_of_a_schedule_appear_and_outlive_it(service: Service, api: WorkflowApi) -> None:
    made = scheduled(service)
    (name,) = [
        each
        for each, cron in api.crons.items()
        if made["recurring_run_id"] in cron["metadata"]["labels"].values()
    ]
    workflow = api.start_scheduled(name)
    run_id = workflow["metadata"]["labels"]["pipeline/runid"]
    run = service.get(f"runs/{run_id}")
    assert run["recurring_run_id"] == made["recurring_run_id"]
    assert run["scheduled_at"] == "2026-11-28T04:00:00Z"
    second = api.start_scheduled(name)["metadata"]["labels"]["pipeline/runid"]
    service.delete(f"recurringruns/{made['recurring_run_id']}")
    assert name not in api.crons
    # Its workflows belong to it; they are not to be deleted with it.
    assert api.policies[-1] == "Orphan"
    assert service.get(f"runs/{second}")["state"] == "PENDING"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"max_concurrency": "3"}, "max_concurrency 3"),
        ({"trigger": {"periodic_schedule": {"interval_second": "420"}}}, "interval of 420 s"),
        ({"trigger": {"cron_schedule": {"cron": "30 6 * * *"}}}, "5 fields"),
        ({"trigger": {"cron_schedule": {"cron": "5 30 6 * * *"}}}, "full minutes"),
    ],
)
def test_schedules_that_argo_does_not_have_are_rejected(
    service: Service, fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(AssertionError, match=reason):
        scheduled(service, **fields)


def test_an_unknown_call_is_named(service: Service) -> None:
    answer = service.request("POST", "runs/x:retry")
    assert answer.status_code in (404, 405)
    assert "does not have this call" in answer.json()["message"]
