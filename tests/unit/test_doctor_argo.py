"""Each fault of Argo that the doctor reports."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devstack.doctor.argo import ARGO_CHECKS
from devstack.doctor.check import Diagnosis, Finding, run_checks
from devstack.kube.client import Object
from devstack.kube.resources import ARGO
from devstack.ports import any_free
from devstack.services.argo import ARTIFACTS_SECRET
from devstack.stack import Stack
from tests.fakes.api import FakeApi, available, deployment, namespace, pod, waiting
from tests.fakes.argo import argo_stack, node, workflow
from tests.fakes.bucket import Bucket, serve_bucket

LABEL = "workflows.argoproj.io/cron-workflow"


@pytest.fixture
def minio() -> Iterator[int]:
    with serve_bucket() as port:
        yield port


@pytest.fixture
def api() -> FakeApi:
    """The API of a healthy cluster."""
    made = FakeApi()
    made.add(namespace("metaflow"), namespace("argo"))
    made.add(available("argo-controller", "argo"), available("argo-server", "argo"))
    keys = {name: base64.b64encode(b"word").decode() for name in ("accesskey", "secretkey")}
    metadata = {"name": ARTIFACTS_SECRET, "namespace": "metaflow"}
    made.add({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": keys})
    return made


@pytest.fixture
def stack(tmp_path: Path, api: FakeApi, minio: int, monkeypatch: pytest.MonkeyPatch) -> Stack:
    made = argo_stack(tmp_path, api, monkeypatch)
    # The fake of MinIO answers for Argo's server, too.
    made.state.ports.update(minio=minio, argo=minio)
    made.state.mapped_ports = ["minio", "argo"]
    return made


def diagnose(stack: Stack) -> dict[str, Diagnosis]:
    return {each.check.name: each for each in run_checks(ARGO_CHECKS, stack)}


def found(stack: Stack, check: str) -> Finding:
    """Return the only finding of a check; the other checks have none."""
    made = diagnose(stack)
    assert [name for name, each in made.items() if each.findings] == [check], made
    (finding,) = made[check].findings
    assert finding.remedy
    return finding


def cron(**conditions: str) -> Object:
    """Return a schedule with conditions and their messages."""
    status = [
        {"type": kind, "status": "True", "message": text} for kind, text in conditions.items()
    ]
    return {
        "apiVersion": ARGO,
        "kind": "CronWorkflow",
        "metadata": {"name": "myflow", "namespace": "metaflow"},
        "spec": {},
        "status": {"conditions": status},
    }


def scheduled(name: str, phase: str, **status: Any) -> Object:
    made = workflow(name, phase, **status)
    made["metadata"]["labels"] = {LABEL: "myflow"}
    return made


def test_a_healthy_argo_has_no_findings(stack: Stack, api: FakeApi) -> None:
    spec = {"schedules": ["@daily"], "workflowSpec": {"workflowTemplateRef": {"name": "myflow"}}}
    template = {"apiVersion": ARGO, "kind": "WorkflowTemplate", "metadata": cron()["metadata"]}
    api.add({**cron(), "spec": spec}, template)
    api.add(scheduled("myflow-1", "Failed"), scheduled("myflow-2", "Succeeded"))
    api.add(workflow("myflow-3", nodes=(node("start", "Running"),)))
    assert {name: each.state for name, each in diagnose(stack).items()} == {
        check.name: "ok" for check in ARGO_CHECKS
    }
    assert api.writes == []


def test_a_stack_without_argo_has_nothing_to_check(stack: Stack) -> None:
    stack.services = [each for each in stack.services if each.name != "argo"]
    assert {each.state for each in diagnose(stack).values()} == {"skipped"}


@pytest.mark.breaks("argo-controller")
def test_a_controller_that_is_down(stack: Stack, api: FakeApi) -> None:
    down = deployment("argo-controller", "argo")
    down["spec"]["replicas"] = 0
    api.add(down)
    finding = found(stack, "argo-controller")
    assert finding.code == "ARGO_CONTROLLER_DOWN"
    assert "scaled to zero" in finding.cause


@pytest.mark.breaks("argo-server")
def test_a_server_that_is_down_or_cannot_be_reached(stack: Stack, api: FakeApi) -> None:
    stack.state.ports["argo"] = any_free(set())
    assert "does not respond on port" in found(stack, "argo-server").cause
    api.add(deployment("argo-server", "argo"))
    assert found(stack, "argo-server").code == "ARGO_SERVER_DOWN"


@pytest.mark.breaks("workflows")
@pytest.mark.parametrize(
    ("kind", "code"), [("SpecError", "CRON_INVALID"), ("SubmissionError", "CRON_FAILED")]
)
def test_a_schedule_that_starts_no_run(stack: Stack, api: FakeApi, kind: str, code: str) -> None:
    api.add(cron(**{kind: "cron schedule is malformed"}))
    finding = found(stack, "workflows")
    assert finding.code == code
    assert "myflow" in finding.cause
    assert "malformed" in finding.cause


@pytest.mark.breaks("workflows")
@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"schedules": ["0 9 * * *", "0 0 32 * *"]}, "'0 0 32 * *': '32' is no day of the month"),
        ({"schedule": "daily at nine"}, "it has 3 fields"),
        ({"workflowSpec": {"workflowTemplateRef": {"name": "gone"}}}, "template gone is missing"),
    ],
)
def test_a_schedule_of_which_argo_only_logs_that_it_is_invalid(
    stack: Stack, api: FakeApi, spec: Object, reason: str
) -> None:
    api.add({**cron(), "spec": spec})
    finding = found(stack, "workflows")
    assert finding.code == "CRON_INVALID"
    assert reason in finding.cause


@pytest.mark.breaks("workflows")
def test_a_scheduled_run_that_failed_last(stack: Stack, api: FakeApi) -> None:
    api.add(cron(), scheduled("myflow-1", "Succeeded"))
    api.add(scheduled("myflow-2", "Failed", message="child failed"))
    finding = found(stack, "workflows")
    assert (finding.code, finding.severity) == ("CRON_RUN_FAILED", "warning")
    assert "child failed" in finding.cause
    assert finding.remedy == "devstack argo logs myflow-2"


@pytest.mark.breaks("workflows")
def test_a_workflow_whose_pod_cannot_start(stack: Stack, api: FakeApi) -> None:
    labels = {"workflows.argoproj.io/workflow": "myflow-1"}
    image = waiting("InvalidImageName", "couldn't parse image")
    stuck = pod("p", "metaflow", labels=labels, containerStatuses=[image])
    stuck["spec"]["nodeName"] = "n"
    api.add(workflow("myflow-1"), stuck)
    finding = found(stack, "workflows")
    assert finding.code == "WORKFLOW_STUCK"
    assert "myflow-1" in finding.cause
    assert finding.remedy == "devstack why myflow-1"
    api.add(workflow("myflow-1", "Failed"))
    assert diagnose(stack)["workflows"].findings == []


@pytest.mark.breaks("argo-artifacts")
@pytest.mark.parametrize(
    ("status", "code"), [(403, "ARTIFACT_KEYS_REJECTED"), (404, "ARTIFACT_BUCKET_MISSING")]
)
def test_a_bucket_that_workflows_cannot_use(stack: Stack, status: int, code: str) -> None:
    Bucket.status = status
    stack.state.mapped_ports = ["minio"]
    assert found(stack, "argo-artifacts").code == code


def test_missing_keys_are_reported_by_the_check_of_secrets(stack: Stack, api: FakeApi) -> None:
    api.client().delete("v1", "Secret", ARTIFACTS_SECRET, "metaflow")
    assert diagnose(stack)["argo-artifacts"].state == "skipped"
