"""The platform: rights, the login of the server, the controller at rest, and a second `up`."""

from __future__ import annotations

import json

import pytest
import requests
from kubernetes import client

from tests.argo.flows_on_argo import argo, deploy, succeeded
from tests.argo.rbac_matrix import ACCOUNTS
from tests.support.commandline import Devstack
from tests.support.rights import Permission, connect, is_allowed

CASES = [
    pytest.param(*account, permission, id=f"{account[1]} {permission}")
    for account, permissions in ACCOUNTS.items()
    for permission in permissions
]
COMPARED = "deployments,services,configmaps,secrets,serviceaccounts,roles,rolebindings"


@pytest.fixture(scope="module")
def admin(stack: Devstack) -> client.AuthorizationV1Api:
    """The API as the cluster's administrator."""
    return connect(stack.directory / "admin.kubeconfig")


@pytest.mark.parametrize(("namespace", "account", "permission"), CASES)
def test_rights(
    admin: client.AuthorizationV1Api, namespace: str, account: str, permission: Permission
) -> None:
    assert is_allowed(admin, namespace, account, permission) == permission.allowed


def versions(stack: Devstack) -> dict[str, str]:
    """Return the versions of Argo's objects."""
    query = ("--all-namespaces", "--selector=app.kubernetes.io/name=argo", "--output=json")
    items = json.loads(stack.admin_kubectl("get", f"{COMPARED},crds", *query).stdout)["items"]
    return {each["metadata"]["uid"]: each["metadata"]["resourceVersion"] for each in items}


def test_up_with_nothing_to_do_writes_nothing(stack: Devstack) -> None:
    before = versions(stack)
    assert before
    assert stack.json("up")["data"]["changed"] == []
    assert versions(stack) == before


@pytest.mark.usefixtures("clean")
def test_the_server_shows_workflows_to_those_who_have_the_token(stack: Devstack) -> None:
    run = succeeded(stack, "line.py")
    status = stack.json("status", "--secrets")["data"]
    page = requests.get(status["urls"]["argo"], timeout=30)
    assert "status page of devstack" in page.text
    url = f"{status['urls']['argo']}/api/v1/workflows/metaflow"
    assert requests.get(url, timeout=30).status_code == 401
    login = {"Authorization": f"Bearer {status['secrets']['argo-token']}"}
    found = requests.get(url, headers=login, timeout=30).json()["items"]
    assert run["run_id"] in {each["metadata"]["name"] for each in found}
    log = f"{url}/{run['run_id']}/log?logOptions.container=main"
    assert "seen: none" in requests.get(log, headers=login, timeout=30).text


@pytest.mark.usefixtures("clean")
def test_a_workflow_is_created_through_the_server(stack: Devstack) -> None:
    template = deploy(stack, "line.py")
    status = stack.json("status", "--secrets")["data"]
    login = {"Authorization": f"Bearer {status['secrets']['argo-token']}"}
    spec = {"workflowTemplateRef": {"name": template}}
    body = {"workflow": {"metadata": {"generateName": "by-hand-"}, "spec": spec}}
    url = f"{status['urls']['argo']}/api/v1/workflows/metaflow"
    answer = requests.post(url, headers=login, json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    (run,) = argo(stack, "runs", template)["data"]["runs"]
    assert run["run_id"].startswith("by-hand-")


def test_the_controller_reports_no_error(stack: Devstack) -> None:
    logs = ("logs", "deployment/argo-controller", "--namespace=argo")
    lines = stack.admin_kubectl(*logs).stdout.splitlines()
    # It asks whether it may read namespaces and cluster-wide templates, and warns that it may not.
    assert not [line for line in lines if "level=error" in line or "forbidden" in line.lower()]
