from __future__ import annotations

import base64

import yaml

from devstack.kube import kubeconfig
from devstack.kube.client import Object
from devstack.services.base import ServiceContext
from devstack.services.rbac import TOKEN_SECRET, RbacService, submitter_kubeconfig
from devstack.state import StackState
from devstack.waits import Ready, Waiting
from tests.fakes.api import FakeApi

ADMIN = yaml.safe_dump(
    {
        "current-context": "kind-x",
        "contexts": [{"name": "kind-x", "context": {"cluster": "k", "user": "admin"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:6443"}}],
        "users": [{"name": "admin", "user": {"token": "administrator"}}],
    }
)


def context(api: FakeApi) -> ServiceContext:
    state = StackState("mine", namespace="flows", images={"task": "devstack/task:1"})
    return ServiceContext(state, api.client())


def token_secret(token: str = "") -> Object:
    data = {"token": base64.b64encode(token.encode()).decode()} if token else {}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": TOKEN_SECRET, "namespace": "flows"},
        "data": data,
    }


def test_it_is_ready_once_the_token_exists() -> None:
    api = FakeApi()
    assert isinstance(RbacService().observe(context(api)), Waiting)
    api.add(token_secret())
    assert isinstance(RbacService().observe(context(api)), Waiting)
    api.add(token_secret("t0ken"))
    assert RbacService().observe(context(api)) == Ready()


def test_clients_get_the_submitters_kubeconfig() -> None:
    api = FakeApi()
    api.add(token_secret("t0ken"))
    text = submitter_kubeconfig(context(api), ADMIN)
    assert "administrator" not in text
    found = kubeconfig.client_config(kubeconfig.parse(text))
    assert (found.token, found.namespace, found.context) == (
        "t0ken",
        "flows",
        "devstack-mine",
    )


def test_metaflow_gets_namespace_and_account_of_pods() -> None:
    outputs = RbacService().outputs(context(FakeApi())).metaflow
    assert outputs["METAFLOW_KUBERNETES_NAMESPACE"] == "flows"
    assert outputs["METAFLOW_KUBERNETES_SERVICE_ACCOUNT"] == "metaflow-task"
    assert outputs["METAFLOW_KUBERNETES_CONTAINER_IMAGE"] == "devstack/task:1"


def test_the_pull_policy_is_not_set_because_it_breaks_airflow() -> None:
    outputs = RbacService().outputs(context(FakeApi())).metaflow
    assert "METAFLOW_KUBERNETES_IMAGE_PULL_POLICY" not in outputs


def test_the_account_of_task_pods_has_no_role_and_no_token() -> None:
    objects = RbacService().manifests(context(FakeApi()))
    accounts = {
        item["metadata"]["name"]: item for item in objects if item["kind"] == "ServiceAccount"
    }
    assert accounts["metaflow-task"]["automountServiceAccountToken"] is False
    bound = [item["subjects"] for item in objects if item["kind"] == "RoleBinding"]
    assert all(subject["name"] != "metaflow-task" for subjects in bound for subject in subjects)


def test_nothing_is_granted_cluster_wide() -> None:
    kinds = {item["kind"] for item in RbacService().manifests(context(FakeApi()))}
    assert kinds.isdisjoint({"ClusterRole", "ClusterRoleBinding"})
