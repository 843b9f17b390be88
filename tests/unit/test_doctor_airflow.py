"""Each fault of Airflow that the doctor reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from devstack.doctor.airflow import AIRFLOW_CHECKS
from devstack.doctor.check import Diagnosis, Finding, run_checks
from devstack.doctor.rights import RIGHTS_CHECKS
from devstack.kube.client import Object
from devstack.ports import any_free
from devstack.services import SERVICES
from devstack.services.airflow.installation import Installation
from devstack.services.airflow.service import AirflowService
from devstack.stack import Stack
from tests.fakes.airflow import FakeAirflow, airflow_stack, fake_airflow
from tests.fakes.api import FakeApi, available, pod, waiting

TASKS = "metaflow"
KEPT = ("Secret", "Role", "RoleBinding")


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    with fake_airflow() as served:
        yield served


@pytest.fixture
def api(airflow: FakeAirflow, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """The API of a healthy cluster."""
    made = FakeApi()
    monkeypatch.setattr(stack, "kube", lambda *_a, **_o: made.client())
    ctx = stack.context(made.client())
    for service in stack.services:
        made.add(*(item for item in service.manifests(ctx) if item["kind"] in KEPT))
    made.add(available("postgres", "postgres"), available("airflow-scheduler", "airflow"))
    return made


@pytest.fixture
def stack(airflow: FakeAirflow, tmp_path: Path) -> Stack:
    return airflow_stack(airflow.port, tmp_path)


def diagnose(stack: Stack) -> dict[str, Diagnosis]:
    made = run_checks([*RIGHTS_CHECKS, *AIRFLOW_CHECKS], stack)
    return {each.check.name: each for each in made}


def found(stack: Stack, check: str) -> Finding:
    """Return the only finding of a check; the other checks have none."""
    made = diagnose(stack)
    assert [name for name, each in made.items() if each.findings] == [check]
    (finding,) = made[check].findings
    assert finding.remedy
    return finding


def take(api: FakeApi, kind: str, name: str) -> Object:
    """Remove an object from the API, and return it."""
    (path,) = (
        path
        for path, item in api.objects.items()
        if (item["kind"], item["metadata"]["name"]) == (kind, name)
    )
    return api.objects.pop(path)


def test_a_healthy_stack_has_no_findings(api: FakeApi, airflow: FakeAirflow, stack: Stack) -> None:
    airflow.add_dag("Good")
    assert {each.state for each in diagnose(stack).values()} == {"ok"}


def test_the_doctor_changes_nothing(api: FakeApi, stack: Stack) -> None:
    diagnose(stack)
    assert api.writes == []


@pytest.mark.breaks("secrets")
def test_a_secret_that_is_missing(api: FakeApi, stack: Stack) -> None:
    take(api, "Secret", "metaflow-s3")
    finding = found(stack, "secrets")
    assert finding.code == "SECRET_MISSING"
    assert "metaflow/metaflow-s3" in finding.cause


@pytest.mark.parametrize(
    ("resource", "verb"),
    [
        ("pods", "create"),
        ("pods", "get"),
        ("pods", "list"),
        ("pods", "delete"),
        ("pods/log", "get"),
        ("pods/exec", "get"),
        ("pods/exec", "create"),
    ],
)
@pytest.mark.breaks("rights")
def test_a_missing_verb_of_airflows_role(
    api: FakeApi, stack: Stack, resource: str, verb: str
) -> None:
    role = take(api, "Role", "airflow-tasks")
    rules = [
        {**rule, "verbs": [each for each in rule["verbs"] if each != verb]}
        if rule["resources"] == [resource]
        else rule
        for rule in role["rules"]
    ]
    api.add({**role, "rules": rules})
    finding = found(stack, "rights")
    assert finding.code == "RIGHTS_MISSING"
    assert finding.cause == f"Role metaflow/airflow-tasks does not allow: {verb} {resource}"


def test_a_role_that_allows_more_is_accepted(api: FakeApi, stack: Stack) -> None:
    role = take(api, "Role", "airflow-tasks")
    api.add({**role, "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]})
    assert diagnose(stack)["rights"].state == "ok"


@pytest.mark.breaks("rights")
def test_a_role_binding_that_is_missing(api: FakeApi, stack: Stack) -> None:
    take(api, "RoleBinding", "airflow-tasks")
    finding = found(stack, "rights")
    assert (
        "RoleBinding metaflow/airflow-tasks does not grant ServiceAccount airflow" in finding.cause
    )


@pytest.mark.parametrize("pods", ["2", "0"])
def test_a_quota_that_is_used_up(api: FakeApi, stack: Stack, pods: str) -> None:
    # Many teams forbid load balancers by a quota of 0.
    hard = {"pods": pods, "requests.memory": "1Gi", "services.loadbalancers": "0"}
    status = {"hard": hard, "used": {"pods": pods, "services.loadbalancers": "0"}}
    metadata = {"name": "small", "namespace": TASKS}
    api.add({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "status": status})
    finding = found(stack, "quota")
    assert finding.code == "QUOTA_EXCEEDED"
    assert finding.cause == f"ResourceQuota metaflow/small is used up: {pods} of {pods} pods"


@pytest.mark.breaks("quota")
def test_a_job_that_was_rejected_for_lack_of_quota(api: FakeApi, stack: Stack) -> None:
    message = 'pods "t-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1'
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "refused", "namespace": TASKS},
        "type": "Warning",
        "involvedObject": {"kind": "Job", "name": "t-1"},
        "message": message,
    }
    api.add(event)
    finding = found(stack, "quota")
    assert finding.cause == f"Job t-1: {message}"


@pytest.mark.breaks("task-pods")
def test_a_task_pod_whose_image_cannot_be_pulled(api: FakeApi, stack: Stack) -> None:
    api.add(pod("task-1", TASKS, containerStatuses=[waiting("ImagePullBackOff")]))
    assert found(stack, "task-pods").code == "IMAGE_PULL_FAILED"


def test_a_task_pod_whose_secret_is_missing(api: FakeApi, stack: Stack) -> None:
    reason = waiting("CreateContainerConfigError", 'secret "mine" not found')
    api.add(pod("task-1", TASKS, containerStatuses=[reason]))
    finding = found(stack, "task-pods")
    assert finding.code == "POD_CONFIG_MISSING"
    assert 'secret "mine" not found' in finding.cause


@pytest.mark.breaks("database")
def test_a_database_that_is_down(api: FakeApi, stack: Stack) -> None:
    take(api, "Deployment", "postgres")
    assert found(stack, "database").code == "DATABASE_DOWN"


def test_a_database_that_airflow_cannot_use(
    api: FakeApi, airflow: FakeAirflow, stack: Stack
) -> None:
    airflow.answers["/health"]["metadatabase"]["status"] = "unhealthy"
    assert found(stack, "database").code == "DATABASE_DOWN"


def test_a_scheduler_without_deployment(api: FakeApi, stack: Stack) -> None:
    take(api, "Deployment", "airflow-scheduler")
    assert found(stack, "scheduler").code == "SCHEDULER_DOWN"


def test_a_scheduler_that_was_scaled_to_zero(api: FakeApi, stack: Stack) -> None:
    none = take(api, "Deployment", "airflow-scheduler")
    none["spec"]["replicas"] = 0
    none["status"] = {"observedGeneration": 1}
    api.add(none)
    finding = found(stack, "scheduler")
    assert finding.code == "SCHEDULER_DOWN"
    assert "scaled to zero" in finding.cause


@pytest.mark.breaks("scheduler")
def test_a_scheduler_that_hangs(api: FakeApi, airflow: FakeAirflow, stack: Stack) -> None:
    airflow.answers["/health"]["scheduler"]["status"] = "unhealthy"
    finding = found(stack, "scheduler")
    assert finding.code == "SCHEDULER_DOWN"
    assert "2026-01-01" in finding.cause


@pytest.mark.breaks("dags")
def test_a_dag_file_that_cannot_be_imported(
    api: FakeApi, airflow: FakeAirflow, stack: Stack
) -> None:
    failure = {
        "import_error_id": 1,
        "filename": "/airflow/dags/Bad.py",
        "timestamp": "2026-01-01T00:00:00+00:00",
        "stack_trace": "Traceback (most recent call last):\n  ...\nSyntaxError: invalid syntax\n",
    }
    airflow.answers["/importErrors"] = {"import_errors": [failure], "total_entries": 1}
    finding = found(stack, "dags")
    assert finding.code == "DAG_BROKEN"
    assert finding.cause == "DAG file Bad.py cannot be imported: SyntaxError: invalid syntax"


@pytest.mark.parametrize(("minutes", "codes"), [(1, []), (10, ["DAG_NOT_PARSED"])])
def test_a_dag_that_is_no_longer_parsed(
    api: FakeApi, airflow: FakeAirflow, stack: Stack, minutes: int, codes: list[str]
) -> None:
    parsed = datetime.now(timezone.utc) - timedelta(minutes=minutes)
    airflow.add_dag("Old", last_parsed_time=parsed.isoformat())
    assert [each.code for each in diagnose(stack)["dags"].findings] == codes


@pytest.mark.parametrize(("queued", "codes"), [(0, []), (2, ["DAG_PAUSED"])])
def test_a_paused_dag_whose_runs_wait(
    api: FakeApi, airflow: FakeAirflow, stack: Stack, queued: int, codes: list[str]
) -> None:
    airflow.add_dag("Paused", is_paused=True)
    airflow.answers["/dags/Paused/dagRuns"]["total_entries"] = queued
    diagnosis = diagnose(stack)["dags"]
    assert [each.code for each in diagnosis.findings] == codes
    assert diagnosis.state == ("warning" if queued else "ok")


@pytest.mark.breaks("dags")
def test_a_pool_that_is_missing(api: FakeApi, airflow: FakeAirflow, stack: Stack) -> None:
    airflow.add_dag("Pooled", pool="gpus")
    finding = found(stack, "dags")
    assert finding.code == "POOL_MISSING"
    assert "'gpus'" in finding.cause


def test_a_web_server_that_is_down_is_reported_by_the_check_of_services_only(
    api: FakeApi, stack: Stack
) -> None:
    assert stack.state is not None
    stack.state.ports["airflow"] = any_free(set())
    states = {name: each.state for name, each in diagnose(stack).items()}
    assert states.pop("dags") == "skipped"
    assert set(states.values()) == {"ok"}


def test_a_stack_without_airflow_gets_no_requests(
    api: FakeApi, airflow: FakeAirflow, stack: Stack
) -> None:
    some = tuple(each for each in SERVICES if each.name not in ("airflow", "postgres", "metadata"))
    without: Any = replace(stack, services=some)
    without.kube = stack.kube
    assert {
        name: each.reason for name, each in diagnose(without).items() if each.state == "skipped"
    } == {
        "database": "the stack leaves out postgres",
        "scheduler": "the stack leaves out airflow",
        "dags": "the stack leaves out airflow",
    }
    assert airflow.paths == []


def test_the_scheduler_of_another_installation_is_named(api: FakeApi, stack: Stack) -> None:
    stack.services = [*stack.services, AirflowService(Installation("team-a"))]
    [finding] = diagnose(stack)["scheduler"].findings
    assert finding.code == "SCHEDULER_DOWN"
    assert "of the installation 'team-a' is down" in finding.cause
    assert "devstack logs airflow-team-a" in finding.remedy
    api.add(available("airflow-scheduler", "airflow-team-a"))
    assert diagnose(stack)["scheduler"].state == "ok"


@pytest.fixture
def team(api: FakeApi, stack: Stack) -> Iterator[FakeAirflow]:
    """Another installation of Airflow, which is healthy."""
    service = AirflowService(Installation("team-a"))
    with fake_airflow() as served:
        stack.services = [*stack.services, service]
        stack.state.ports["airflow-team-a"] = served.port
        stack.state.credentials["airflow_team_a_admin_password"] = served.password
        ctx = stack.context(api.client())
        api.add(*(item for item in service.manifests(ctx) if item["kind"] in KEPT))
        api.add(available("airflow-scheduler", "airflow-team-a"))
        yield served


def test_a_database_that_another_installation_cannot_use(stack: Stack, team: FakeAirflow) -> None:
    team.answers["/health"]["metadatabase"]["status"] = "unhealthy"
    finding = found(stack, "database")
    assert finding.cause == "Airflow of the installation 'team-a' cannot use its database"
    assert "devstack logs airflow-team-a" in finding.remedy


def test_the_dags_of_another_installation_are_checked(
    stack: Stack, airflow: FakeAirflow, team: FakeAirflow
) -> None:
    airflow.add_dag("Good")
    team.add_dag("Pooled", pool="gpus")
    finding = found(stack, "dags")
    assert "DAG Pooled of the installation 'team-a' uses the pool 'gpus'" in finding.cause
    assert "--installation team-a deploy" in finding.remedy
    stack.state.ports["airflow"] = any_free(set())
    assert found(stack, "dags") == finding, "also if the first one is down"
