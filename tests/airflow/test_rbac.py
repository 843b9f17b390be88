"""RBAC permissions of submitters, task pods and Airflow, evaluated by the real API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from tests.airflow.rbac_matrix import (
    AIRFLOW,
    AIRFLOW_PERMISSIONS,
    SUBMITTER_PERMISSIONS,
    TASK,
    TASK_PERMISSIONS,
    Permission,
)
from tests.support.commandline import Devstack


def connect(kubeconfig: Path) -> client.AuthorizationV1Api:
    """Return a client that keeps one connection."""
    return client.AuthorizationV1Api(config.new_client_from_config(str(kubeconfig)))


@pytest.fixture(scope="module")
def submitter(stack: Devstack) -> client.AuthorizationV1Api:
    """The API as a submitter."""
    return connect(stack.directory / "kubeconfig")


@pytest.fixture(scope="module")
def admin(stack: Devstack) -> client.AuthorizationV1Api:
    """The API as the cluster's administrator."""
    return connect(stack.directory / "admin.kubeconfig")


def attributes(permission: Permission) -> client.V1ResourceAttributes:
    """Return the attributes of a request, as `kubectl auth can-i` sends them."""
    name, _, subresource = permission.resource.partition("/")
    resource, _, group = name.partition(".")
    namespace = "" if permission.namespace == "*" else permission.namespace or "metaflow"
    return client.V1ResourceAttributes(
        verb=permission.verb,
        group=group,
        resource=resource,
        subresource=subresource or None,
        namespace=namespace,
    )


def is_allowed(
    api: client.AuthorizationV1Api, namespace: str, account: str, permission: Permission
) -> bool:
    """Return whether a service account has a permission."""
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    spec = client.V1SubjectAccessReviewSpec(
        user=f"system:serviceaccount:{namespace}:{account}",
        groups=[*groups, "system:authenticated"],
        resource_attributes=attributes(permission),
    )
    review = api.create_subject_access_review(client.V1SubjectAccessReview(spec=spec))
    return _allowed(review)


def _allowed(review: Any) -> bool:
    assert not review.status.evaluation_error
    return bool(review.status.allowed)


@pytest.mark.parametrize("permission", SUBMITTER_PERMISSIONS, ids=str)
def test_a_submitter(submitter: client.AuthorizationV1Api, permission: Permission) -> None:
    spec = client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes(permission))
    review = submitter.create_self_subject_access_review(
        client.V1SelfSubjectAccessReview(spec=spec)
    )
    assert _allowed(review) == permission.allowed


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
