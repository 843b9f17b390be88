"""Kubeflow Pipelines as a service: what it applies, its rights, and what flows get."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kubeflow_pipelines.settings import read_settings

from devstack.images.recipes import python_service
from devstack.images.recipes.kubeflow import KubeflowImage
from devstack.kube.client import Object
from devstack.kube.resources import ARGO
from devstack.ports import any_free
from devstack.services import SERVICES, kubeflow
from devstack.services.base import ServiceContext
from devstack.services.kubeflow import KubeflowService
from devstack.services.postgres import PostgresService
from devstack.services.rbac import TASK_ACCOUNT
from devstack.services.selection import disabled_services, enabled_services
from devstack.state import StackState
from devstack.waits import Ready, Waiting
from tests.fakes.api import FakeApi, available, decoded


def context(**state: Any) -> ServiceContext:
    known = {
        "namespace": "flows",
        "ports": {"kubeflow": 48888},
        "images": {"kubeflow": "mirror/kubeflow:1"},
    }
    return ServiceContext(StackState("mine", **(known | state)))


def find(ctx: ServiceContext, kind: str) -> Object:
    return next(item for item in KubeflowService().manifests(ctx) if item["kind"] == kind)


def variables(ctx: ServiceContext) -> dict[str, str]:
    """The variables of the service's container, as the service reads them."""
    (container,) = find(ctx, "Deployment")["spec"]["template"]["spec"]["containers"]
    own = {each["name"]: each["value"] for each in container["env"]}
    return {**own, **decoded(find(ctx, "Secret"))}


def test_it_is_included_on_request_with_argo_and_postgres() -> None:
    assert "kubeflow" in disabled_services(SERVICES)
    off = disabled_services(SERVICES, included=["kubeflow"])
    names = {service.name for service in enabled_services(SERVICES, off)}
    assert {"kubeflow", "argo", "postgres"} <= names


def test_the_service_reads_what_up_writes() -> None:
    ctx = context()
    settings = read_settings(variables(ctx))
    assert settings.token == ctx.state.credential(kubeflow.TOKEN)
    assert (settings.target.namespace, settings.target.account) == ("flows", TASK_ACCOUNT)
    assert settings.database.startswith("postgresql://kubeflow:")


def test_it_has_a_database_and_a_user_of_its_own() -> None:
    ctx = replace(context(), databases=(KubeflowService.database,))
    secrets = {each["metadata"]["name"]: each for each in PostgresService().manifests(ctx)}
    password = decoded(secrets["postgres-databases"])["kubeflow"]
    assert f":{password}@" in variables(ctx)["PIPELINES_DATABASE"]


def test_it_may_use_workflows_and_nothing_else() -> None:
    roles = [each for each in KubeflowService().manifests(context()) if "Role" in each["kind"]]
    assert {each["kind"] for each in roles} == {"Role", "RoleBinding"}
    assert {each["metadata"]["namespace"] for each in roles} == {"flows"}
    (role,) = (each for each in roles if each["kind"] == "Role")
    assert role["rules"] == [
        {
            "apiGroups": [ARGO.partition("/")[0]],
            "resources": ["workflows", "cronworkflows"],
            "verbs": ["create", "get", "list", "patch", "delete"],
        }
    ]


def test_flows_and_kfps_client_get_the_address_and_the_token() -> None:
    ctx = context()
    outputs = KubeflowService().outputs(ctx)
    url = "http://127.0.0.1:48888"
    assert outputs.environment == {
        "METAFLOW_KUBEFLOW_PIPELINES_URL": url,
        "KF_PIPELINES_ENDPOINT": url,
        "DEVSTACK_KUBEFLOW_TOKEN": ctx.state.credential(kubeflow.TOKEN),
    }
    assert outputs.secrets == {"kubeflow-token": ctx.state.credential(kubeflow.TOKEN)}


def test_the_extension_reads_these_variables() -> None:
    from devstack.metaflow_extension.metaflow_extensions.devstack.plugins import kubeflow_patches

    environment = KubeflowService().outputs(context()).environment
    assert {kubeflow_patches.URL, kubeflow_patches.TOKEN} <= environment.keys()


def test_no_credential_is_in_a_deployment() -> None:
    ctx = context()
    text = str(find(ctx, "Deployment"))
    assert ctx.state.credential(kubeflow.TOKEN) not in text
    assert ctx.state.credential("kubeflow_db_password") not in text


def test_status_says_which_backend_runs() -> None:
    assert KubeflowService().describe(context()) == "devstack's pipelines API on Argo"


def test_a_pod_that_the_host_cannot_reach_is_not_ready() -> None:
    api = FakeApi()
    api.add(available("ml-pipeline", "kubeflow"))
    port = any_free(set())
    for mapped, kind in ((["kubeflow"], Waiting), ([], Ready)):
        state = StackState("mine", ports={"kubeflow": port}, mapped_ports=mapped)
        observation = KubeflowService().observe(ServiceContext(state, api.client()))
        assert isinstance(observation, kind)


def test_a_change_of_code_rebuilds_the_image(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = KubeflowImage().key
    for owner, name in ((KubeflowImage, "rootfs"), (python_service, "SHARED")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, tmp_path)
            assert KubeflowImage().key != before
    assert (KubeflowImage().rootfs / "opt/devstack/kubeflow_pipelines/__main__.py").exists()


def test_the_lock_names_no_index() -> None:
    text = KubeflowImage().lock.read_text()
    assert "--hash=sha256:" in text
    assert "index-url" not in text
