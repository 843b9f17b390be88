"""The platform: rights, the token, faults of the service, and a second `up`."""

from __future__ import annotations

import json

import pytest
import requests
from kubernetes import client

from tests.kubeflow.flows_on_kubeflow import KubeflowStack
from tests.support.eventually import eventually
from tests.support.rights import Permission, connect, is_allowed, permissions

SERVICE = [
    *permissions(
        True,
        {
            "workflows.argoproj.io": "create get list patch delete",
            "cronworkflows.argoproj.io": "create get list patch delete",
        },
    ),
    *permissions(
        False,
        {
            "workflows.argoproj.io": "update watch deletecollection",
            "workflowtemplates.argoproj.io": "get create",
            "workflowtaskresults.argoproj.io": "get create",
            "pods": "get list create delete",
            "pods/exec": "create",
            "pods/log": "get",
            "secrets": "get list create",
            "configmaps": "get create",
            "serviceaccounts/token": "create",
            "rolebindings.rbac.authorization.k8s.io": "create",
        },
    ),
    *permissions(False, {"secrets": "get", "pods": "list"}, "kubeflow"),
    *permissions(False, {"workflows.argoproj.io": "list", "secrets": "list", "nodes": "list"}, "*"),
]
COMPARED = "deployments,services,secrets,serviceaccounts,roles,rolebindings"


@pytest.fixture(scope="module")
def admin(stack: KubeflowStack) -> client.AuthorizationV1Api:
    """The API as the cluster's administrator."""
    return connect(stack.devstack.directory / "admin.kubeconfig")


@pytest.mark.parametrize("permission", SERVICE, ids=str)
def test_rights(admin: client.AuthorizationV1Api, permission: Permission) -> None:
    assert is_allowed(admin, "kubeflow", "ml-pipeline", permission) == permission.allowed


def versions(stack: KubeflowStack) -> dict[str, str]:
    """Return the versions of the service's objects."""
    query = ("--all-namespaces", "--selector=app.kubernetes.io/name=kubeflow", "--output=json")
    items = json.loads(stack.devstack.admin_kubectl("get", COMPARED, *query).stdout)["items"]
    return {each["metadata"]["uid"]: each["metadata"]["resourceVersion"] for each in items}


def test_up_with_nothing_to_do_writes_nothing(stack: KubeflowStack) -> None:
    before = versions(stack)
    assert before
    assert stack.devstack.json("up")["data"]["changed"] == []
    assert versions(stack) == before


def test_status_says_which_backend_runs(stack: KubeflowStack) -> None:
    assert "devstack's pipelines API on Argo" in stack.devstack.run("status").stdout


def test_requests_without_the_token_are_rejected(stack: KubeflowStack) -> None:
    status = stack.devstack.json("status", "--secrets")["data"]
    url = f"{status['urls']['kubeflow']}/apis/v2beta1/runs"
    assert requests.get(url, timeout=30).status_code == 401
    login = {"Authorization": f"Bearer {status['secrets']['kubeflow-token']}"}
    assert requests.get(url, headers=login, timeout=30).status_code == 200


@pytest.mark.usefixtures("clean")
def test_a_killed_service_loses_nothing(stack: KubeflowStack) -> None:
    name = stack.deploy("sleep.py")
    run = stack.kubeflow("trigger", name)["data"]
    stack.devstack.admin_kubectl(
        "delete", "pod", "--namespace=kubeflow", "--selector=app.kubernetes.io/name=kubeflow"
    )

    def known() -> bool:
        done = stack.devstack.run("kubeflow", "runs", name, "--json", check=False)
        return done.returncode == 0 and run["run_id"] in done.stdout

    eventually("the service to be back", known, timeout=120, interval=2)


def test_the_service_logs_no_error(stack: KubeflowStack) -> None:
    logs = ("logs", "deployment/ml-pipeline", "--namespace=kubeflow")
    lines = stack.devstack.admin_kubectl(*logs).stdout
    assert "Traceback" not in lines
    status = stack.devstack.json("status", "--secrets")["data"]
    assert status["secrets"]["kubeflow-token"] not in lines
