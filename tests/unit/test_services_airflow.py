"""Airflow's manifests, readiness and status."""

from __future__ import annotations

import base64
import configparser
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from devstack.airflow.health import Activity, Health
from devstack.airflow_settings import (
    CELERY_EXECUTOR,
    CELERY_KUBERNETES_EXECUTOR,
    EXECUTORS,
    KUBERNETES_EXECUTOR,
    LOCAL_EXECUTOR,
)
from devstack.kube.client import Object
from devstack.ports import any_free
from devstack.services.airflow.config import FILE, WORKER_FILE
from devstack.services.airflow.installation import Installation
from devstack.services.airflow.service import COMPONENTS, AirflowService
from devstack.services.base import ServiceContext
from devstack.services.postgres import PostgresService
from devstack.state import StackState
from devstack.waits import Ready, Waiting
from tests.fakes.airflow import fake_airflow
from tests.fakes.airflow_server import PASSWORD
from tests.fakes.api import FakeApi, available, decoded


def context(**state: Any) -> ServiceContext:
    known = {"namespace": "flows", "ports": {"airflow": 40880}} | state
    return ServiceContext(StackState("mine", **known))


def find(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = (
        item for item in objects if item["kind"] == kind and item["metadata"]["name"] == name
    )
    return found


def setup_job(ctx: ServiceContext) -> str:
    (found,) = (item for item in AirflowService().manifests(ctx) if item["kind"] == "Job")
    return str(found["metadata"]["name"])


def settings(ctx: ServiceContext) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    config = find(AirflowService().manifests(ctx), "ConfigMap", "airflow-config")
    parser.read_string(config["data"][FILE])
    return parser


def test_keys_are_random_for_each_stack_and_valid_for_fernet() -> None:
    ctx, other = context(), context()
    keys = decoded(find(AirflowService().manifests(ctx), "Secret", "airflow"))
    theirs = decoded(find(AirflowService().manifests(other), "Secret", "airflow"))
    assert len(base64.urlsafe_b64decode(keys["AIRFLOW__CORE__FERNET_KEY"])) == 32
    assert not set(keys.values()) & set(theirs.values())


def test_airflow_and_postgres_agree_on_user_password_and_database() -> None:
    ctx = context()
    keys = decoded(find(AirflowService().manifests(ctx), "Secret", "airflow"))
    ctx = replace(ctx, databases=(AirflowService.database,))
    users = decoded(find(PostgresService().manifests(ctx), "Secret", "postgres-databases"))
    assert set(users) == {"airflow"}
    expected = f"postgresql+psycopg2://airflow:{users['airflow']}@postgres.postgres.svc"
    assert keys["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith(expected)


def test_no_file_under_k8s_and_no_config_holds_a_credential() -> None:
    ctx = context()
    objects = [*AirflowService().manifests(ctx), *PostgresService().manifests(ctx)]
    shown = json.dumps([item for item in objects if item["kind"] != "Secret"])
    assert ctx.state.credentials
    assert not [value for value in ctx.state.credentials.values() if value in shown]


def test_the_role_is_in_the_stacks_task_namespace() -> None:
    objects = AirflowService().manifests(context())
    assert find(objects, "Role", "airflow-tasks")["metadata"]["namespace"] == "flows"
    (subject,) = find(objects, "RoleBinding", "airflow-tasks")["subjects"]
    assert (subject["name"], subject["namespace"]) == ("airflow", "airflow")


def test_the_users_settings_are_added_to_airflows() -> None:
    wanted = {"config": {"core": {"parallelism": 8}, "smtp": {"smtp_host": "mail%s"}}}
    found = settings(context(airflow=wanted))
    assert found["core"]["parallelism"] == "8"
    assert found["smtp"]["smtp_host"] == "mail%s"
    assert found["core"]["dags_folder"] == "/airflow/dags"


def test_a_changed_setting_restarts_the_pods() -> None:
    def marks(ctx: ServiceContext) -> set[str]:
        return {
            item["spec"]["template"]["metadata"]["annotations"]["devstack/credentials"]
            for item in AirflowService().manifests(ctx)
            if item["kind"] == "Deployment"
        }

    ctx = context()
    before = marks(ctx)
    ctx.state.airflow = {"config": {"core": {"parallelism": 8}}}
    assert len(before) == 1
    assert before != marks(ctx)


def test_the_jobs_name_changes_with_its_settings() -> None:
    ctx = context()
    name = setup_job(ctx)
    again = setup_job(ctx)
    ctx.state.credentials["airflow_admin_password"] = "another"
    other = setup_job(ctx)
    ctx.state.cluster = "another"
    assert len({name, other, setup_job(ctx)}) == 3
    assert name == again


def test_all_components_wait_for_their_version_of_the_setup() -> None:
    ctx = context()
    keys = decoded(find(AirflowService().manifests(ctx), "Secret", "airflow"))
    assert setup_job(ctx) == f"airflow-setup-{keys['DEVSTACK_SETUP']}"


@pytest.mark.parametrize("executor", EXECUTORS)
def test_worker_pods_and_their_role_exist_only_for_executors_of_kubernetes(executor: str) -> None:
    ctx = context(airflow={"executor": executor})
    objects = AirflowService().manifests(ctx)
    needed = executor in (KUBERNETES_EXECUTOR, CELERY_KUBERNETES_EXECUTOR)
    config = find(objects, "ConfigMap", "airflow-config")["data"]
    roles = {item["metadata"]["name"] for item in objects if item["kind"] == "Role"}
    assert settings(ctx)["core"]["executor"] == executor
    assert (WORKER_FILE in config, "airflow-workers" in roles) == (needed, needed)


def test_what_other_executors_need_is_removed() -> None:
    def left(executor: str) -> set[tuple[str, str]]:
        objects = AirflowService().leftovers(context(airflow={"executor": executor}))
        return {(item["kind"], item["metadata"]["name"]) for item in objects}

    assert left(LOCAL_EXECUTOR) > {
        ("Role", "airflow-workers"),
        ("StatefulSet", "airflow-worker"),
        ("Deployment", "airflow-flower"),
        ("Secret", "airflow-flower"),
    }
    assert left(LOCAL_EXECUTOR) - left(KUBERNETES_EXECUTOR) == {
        ("Role", "airflow-workers"),
        ("RoleBinding", "airflow-workers"),
    }
    assert {name for _, name in left(CELERY_EXECUTOR)} == {"airflow-workers", "airflow-autoscaler"}


def test_two_installations_have_no_object_and_no_credential_in_common() -> None:
    ctx = context(airflow={"executor": KUBERNETES_EXECUTOR})
    first = AirflowService().manifests(ctx)
    known = set(ctx.state.credentials) - {name for name in ctx.state.credentials if "minio" in name}
    second = AirflowService(Installation("team-a")).manifests(ctx)
    identified = [
        {
            (item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"])
            for item in each
        }
        for each in (first, second)
    ]
    assert not identified[0] & identified[1]
    assert {namespace for _, namespace, _ in identified[1]} == {"airflow-team-a", "flows", None}
    added = {name for name in ctx.state.credentials if name.startswith("airflow_team_a_")}
    assert added == {name.replace("airflow_", "airflow_team_a_") for name in known}
    (subject,) = find(second, "RoleBinding", "airflow-tasks-team-a")["subjects"]
    assert subject["namespace"] == "airflow-team-a"


def test_a_worker_pod_is_the_schedulers_pod_with_the_command_of_a_task() -> None:
    objects = AirflowService().manifests(context(airflow={"executor": KUBERNETES_EXECUTOR}))
    worker = json.loads(find(objects, "ConfigMap", "airflow-config")["data"][WORKER_FILE])
    scheduler = find(objects, "Deployment", "airflow-scheduler")["spec"]["template"]["spec"]
    (container,) = worker["spec"]["containers"]
    assert container["name"] == "base"
    assert container["image"] == scheduler["containers"][0]["image"]
    assert worker["spec"]["volumes"] == scheduler["volumes"]
    assert worker["spec"]["restartPolicy"] == "Never"
    assert not {"livenessProbe", "ports", "args"} & set(container)


def test_the_sidecars_image_is_the_stacks() -> None:
    objects = AirflowService().manifests(context(images={"xcom": "elsewhere/xcom:7"}))
    scheduler = find(objects, "Deployment", "airflow-scheduler")
    env = scheduler["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "DEVSTACK_XCOM_IMAGE", "value": "elsewhere/xcom:7"} in env


def test_status_names_unhealthy_components_and_files_that_cannot_be_imported() -> None:
    heartbeat = datetime.now(timezone.utc) - timedelta(seconds=2.4)
    health = Health({"scheduler": True, "triggerer": False}, heartbeat)
    assert str(Activity(health, 1, ("a.py",), running=2, queued=3)) == (
        "triggerer is unhealthy; scheduler heartbeat 2 s ago; 2 running, 3 queued; "
        "1 import error: a.py"
    )
    assert "no import errors" in str(Activity(Health({})))


def ready_context(port: int) -> ServiceContext:
    """Return the context of a stack on which all components of Airflow are available."""
    api = FakeApi()
    api.add(*(available(f"airflow-{name}", "airflow") for name in COMPONENTS))
    state = StackState("mine", ports={"airflow": port}, mapped_ports=["airflow"])
    state.credentials["airflow_admin_password"] = PASSWORD
    return ServiceContext(state, api.client())


def test_airflow_is_ready_when_its_api_answers() -> None:
    with fake_airflow() as airflow:
        assert AirflowService().observe(ready_context(airflow.port)) == Ready()


def test_airflow_is_not_ready_while_its_api_does_not_answer() -> None:
    observation = AirflowService().observe(ready_context(any_free(set())))
    assert isinstance(observation, Waiting)
    assert "does not answer" in observation.reason


def test_status_of_an_airflow_that_does_not_answer() -> None:
    ctx = ready_context(any_free(set()))
    assert AirflowService().describe(ctx).startswith("its REST API does not answer on http://127")
