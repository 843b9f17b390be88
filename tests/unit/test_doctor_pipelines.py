"""Each fault of Kubeflow Pipelines that the doctor reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import database_service.database
import pytest

from devstack.doctor import pipelines
from devstack.doctor.argo import ARGO_CHECKS
from devstack.doctor.check import Diagnosis, Finding, run_checks
from devstack.doctor.pipelines import PIPELINES_CHECKS
from devstack.kube import manifests
from devstack.kube.client import Object
from devstack.kube.resources import ARGO
from devstack.ports import any_free
from devstack.services import kubeflow
from devstack.stack import Stack
from tests.fakes.api import FakeApi, available, deployment, namespace, pod
from tests.fakes.argo import argo_stack
from tests.fakes.pipelines import Pipelines, pipeline_workflow, serve_pipelines

LABELS = {"pipeline/recurring-run-id": "r"}
LOST = "WARNING the database does not respond: password authentication failed"


@pytest.fixture
def server() -> Iterator[Pipelines]:
    with serve_pipelines() as made:
        yield made


@pytest.fixture
def api() -> FakeApi:
    """The API of a healthy cluster."""
    made = FakeApi()
    made.add(namespace("metaflow"), namespace("kubeflow"))
    made.add(available(kubeflow.NAME, kubeflow.NAMESPACE))
    return made


@pytest.fixture
def stack(
    tmp_path: Path, api: FakeApi, server: Pipelines, monkeypatch: pytest.MonkeyPatch
) -> Stack:
    made = argo_stack(tmp_path, api, monkeypatch)
    made.state.ports["kubeflow"] = server.port
    made.state.mapped_ports = ["kubeflow"]
    return made


def diagnose(stack: Stack) -> Diagnosis:
    (found,) = run_checks(PIPELINES_CHECKS, stack)
    return found


def found(stack: Stack) -> Finding:
    (finding,) = diagnose(stack).findings
    assert finding.remedy
    return finding


def recurring(**conditions: str) -> Object:
    """Return a recurring run's schedule with conditions and their messages."""
    status = [
        {"type": kind, "status": "True", "message": text} for kind, text in conditions.items()
    ]
    metadata = {
        "name": "myflow-1f0e2d3c",
        "namespace": "metaflow",
        "labels": LABELS,
        "annotations": {"pipelines.kubeflow.org/run_name": "myflow (schedule)"},
    }
    return {
        "apiVersion": ARGO,
        "kind": "CronWorkflow",
        "metadata": metadata,
        "spec": {},
        "status": {"conditions": status},
    }


def scheduled(phase: str, **status: Any) -> Object:
    made = pipeline_workflow(phase, **status)
    cron = {"workflows.argoproj.io/cron-workflow": "myflow-1f0e2d3c"}
    made["metadata"]["labels"] |= {**LABELS, **cron}
    return made


def running_pod(api: FakeApi, log: str) -> None:
    labels = {"app.kubernetes.io/name": kubeflow.LABEL}
    made = pod("p", kubeflow.NAMESPACE, labels=labels, phase="Running")
    api.add(made)
    api.logs[f"/api/v1/namespaces/{kubeflow.NAMESPACE}/pods/p/log"] = log


def test_a_healthy_service_has_no_findings(stack: Stack, api: FakeApi) -> None:
    running_pod(api, f"{LOST}\nINFO the database responds")
    api.add(recurring(), scheduled("Succeeded"))
    assert diagnose(stack).state == "ok"
    assert api.writes == []


def test_a_stack_without_it_has_nothing_to_check(stack: Stack) -> None:
    stack.services = [each for each in stack.services if each.name != "kubeflow"]
    assert diagnose(stack).state == "skipped"


@pytest.mark.breaks("pipelines")
def test_a_service_that_is_down(stack: Stack, api: FakeApi) -> None:
    down = deployment(kubeflow.NAME, kubeflow.NAMESPACE)
    down["spec"]["replicas"] = 0
    api.add(down)
    finding = found(stack)
    assert (finding.code, "scaled to zero" in finding.cause) == ("PIPELINES_DOWN", True)


@pytest.mark.breaks("pipelines")
def test_a_port_that_nothing_listens_on(stack: Stack) -> None:
    stack.state.ports["kubeflow"] = any_free(set())
    finding = found(stack)
    assert (finding.code, "does not respond on port" in finding.cause) == ("PIPELINES_DOWN", True)
    stack.state.mapped_ports = []
    assert diagnose(stack).state == "ok"


@pytest.mark.breaks("pipelines")
def test_a_database_that_the_service_has_just_lost(stack: Stack, server: Pipelines) -> None:
    """The pod is ready until the kubelet's probe has failed three times."""
    server.statuses["/ready"] = 503
    assert found(stack).code == "PIPELINES_DATABASE"


@pytest.mark.breaks("pipelines")
def test_a_database_that_the_service_has_lost_has_its_reason(stack: Stack, api: FakeApi) -> None:
    """Kubernetes sends nothing to a pod that is not ready, so the port does not respond."""
    stack.state.ports["kubeflow"] = any_free(set())
    api.add(deployment(kubeflow.NAME, kubeflow.NAMESPACE))
    running_pod(api, f"INFO the database responds\n{LOST}")
    finding = found(stack)
    assert finding.code == "PIPELINES_DATABASE"
    assert finding.cause.endswith("password authentication failed")
    assert "postgres" in finding.remedy


@pytest.mark.breaks("pipelines")
@pytest.mark.parametrize(
    ("kind", "code"),
    [("SpecError", "RECURRING_RUN_INVALID"), ("SubmissionError", "RECURRING_RUN_NOT_STARTED")],
)
def test_a_recurring_run_that_starts_no_run(
    stack: Stack, api: FakeApi, kind: str, code: str
) -> None:
    api.add(recurring(**{kind: "cron schedule is malformed"}))
    finding = found(stack)
    assert finding.code == code
    assert "the schedule of myflow " in finding.cause
    assert "malformed" in finding.cause
    assert finding.remedy.startswith("devstack kubeflow deploy")


@pytest.mark.breaks("pipelines")
def test_a_recurring_run_whose_last_run_failed(stack: Stack, api: FakeApi) -> None:
    api.add(recurring(), scheduled("Failed", message="child failed"))
    finding = found(stack)
    assert (finding.code, finding.severity) == ("RECURRING_RUN_FAILED", "warning")
    assert finding.remedy == "devstack kubeflow logs 1f0e2d3c"


def test_argos_check_leaves_recurring_runs_to_this_one(stack: Stack, api: FakeApi) -> None:
    api.add(recurring(SpecError="cron schedule is malformed"))
    checks = [each for each in ARGO_CHECKS if each.name == "workflows"]
    assert [each.state for each in run_checks(checks, stack)] == ["ok"]


def test_what_is_looked_for_is_what_the_service_has() -> None:
    (made,) = (each for each in manifests.load("kubeflow") if each["kind"] == "Deployment")
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == kubeflow.LABEL
    source = Path(database_service.database.__file__).read_text()
    for text in (pipelines._LOST, pipelines._BACK):
        assert f'"{text}' in source
