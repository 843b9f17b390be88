"""RBAC permissions of submitters, task pods and Airflow, evaluated by the real API server."""

from __future__ import annotations

import pytest
from kubernetes import client

from tests.airflow.rbac_matrix import (
    AIRFLOW,
    AIRFLOW_PERMISSIONS,
    SUBMITTER_PERMISSIONS,
    TASK,
    TASK_PERMISSIONS,
)
from tests.support.commandline import Devstack
from tests.support.rights import Permission, allowed, attributes, connect, is_allowed


@pytest.fixture(scope="module")
def submitter(stack: Devstack) -> client.AuthorizationV1Api:
    """The API as a submitter."""
    return connect(stack.directory / "kubeconfig")


@pytest.fixture(scope="module")
def admin(stack: Devstack) -> client.AuthorizationV1Api:
    """The API as the cluster's administrator."""
    return connect(stack.directory / "admin.kubeconfig")


@pytest.mark.parametrize("permission", SUBMITTER_PERMISSIONS, ids=str)
def test_a_submitter(submitter: client.AuthorizationV1Api, permission: Permission) -> None:
    spec = client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes(permission))
    review = submitter.create_self_subject_access_review(
        client.V1SelfSubjectAccessReview(spec=spec)
    )
    assert allowed(review) == permission.allowed


@pytest.mark.parametrize("permission", TASK_PERMISSIONS, ids=str)
def test_a_task_pod(admin: client.AuthorizationV1Api, permission: Permission) -> None:
    assert is_allowed(admin, "metaflow", TASK, permission) == permission.allowed


@pytest.mark.parametrize("permission", AIRFLOW_PERMISSIONS, ids=str)
def test_airflow(admin: client.AuthorizationV1Api, permission: Permission) -> None:
    assert is_allowed(admin, "airflow", AIRFLOW, permission) == permission.allowed


def test_the_submitters_rights_are_the_matrix_and_nothing_else(stack: Devstack) -> None:
    """List all rules, so that an unexpected permission is found."""
    rules = ["auth", "can-i", "--list", "--namespace=metaflow", "--no-headers"]
    everybody = ["--as=nobody", "--as-group=system:serviceaccounts"]
    # Kubernetes lets every account read cluster trust bundles from 1.37 on.
    of_everybody = _granted(stack.admin_kubectl(*rules, *everybody).stdout)
    assert _granted(stack.kubectl(*rules).stdout) - of_everybody == {
        (permission.resource, permission.verb)
        for permission in SUBMITTER_PERMISSIONS
        if permission.allowed
    }


def _granted(listed: str) -> set[tuple[str, str]]:
    """Return the resources and verbs of a list of rules."""
    return {
        (columns[0], verb)
        for columns, verbs in map(_rule, listed.splitlines())
        for verb in verbs
        if columns and not columns[0].startswith(("[", "selfsubject"))
    }


def _rule(line: str) -> tuple[list[str], list[str]]:
    """Return the columns of a line, and the verbs in its last brackets."""
    return line.split(), line.rsplit("[", 1)[1].rstrip("]").split()
