"""RBAC permissions of submitters, task pods and Airflow, evaluated by the real API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from tests.airflow.rbac_matrix import (
    AIRFLOW,
    AIRFLOW_RIGHTS,
    SUBMITTER_RIGHTS,
    TASK,
    TASK_RIGHTS,
    Right,
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


def attributes(right: Right) -> client.V1ResourceAttributes:
    """Return the attributes of a request, as `kubectl auth can-i` sends them."""
    name, _, subresource = right.resource.partition("/")
    resource, _, group = name.partition(".")
    namespace = "" if right.namespace == "*" else right.namespace or "metaflow"
    return client.V1ResourceAttributes(
        verb=right.verb,
        group=group,
        resource=resource,
        subresource=subresource or None,
        namespace=namespace,
    )


def is_allowed(api: client.AuthorizationV1Api, namespace: str, account: str, right: Right) -> bool:
    """Return whether a service account has a right."""
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    spec = client.V1SubjectAccessReviewSpec(
        user=f"system:serviceaccount:{namespace}:{account}",
        groups=[*groups, "system:authenticated"],
        resource_attributes=attributes(right),
    )
    review = api.create_subject_access_review(client.V1SubjectAccessReview(spec=spec))
    return _allowed(review)


def _allowed(review: Any) -> bool:
    assert not review.status.evaluation_error
    return bool(review.status.allowed)


@pytest.mark.parametrize("right", SUBMITTER_RIGHTS, ids=str)
def test_a_submitter(submitter: client.AuthorizationV1Api, right: Right) -> None:
    spec = client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes(right))
    review = submitter.create_self_subject_access_review(
        client.V1SelfSubjectAccessReview(spec=spec)
    )
    assert _allowed(review) == right.allowed


@pytest.mark.parametrize("right", TASK_RIGHTS, ids=str)
def test_a_task_pod(admin: client.AuthorizationV1Api, right: Right) -> None:
    assert is_allowed(admin, "metaflow", TASK, right) == right.allowed


@pytest.mark.parametrize("right", AIRFLOW_RIGHTS, ids=str)
def test_airflow(admin: client.AuthorizationV1Api, right: Right) -> None:
    assert is_allowed(admin, "airflow", AIRFLOW, right) == right.allowed


def test_the_submitters_rights_are_the_matrix_and_nothing_else(stack: Devstack) -> None:
    """List all rules, so that an unexpected permission is found."""
    listed = stack.kubectl("auth", "can-i", "--list", "--namespace=metaflow", "--no-headers")
    granted = {
        (words[0], verb)
        for words, verbs in map(_rule, listed.stdout.splitlines())
        for verb in verbs
        if words and not words[0].startswith(("[", "selfsubject"))
    }
    assert granted == {(right.resource, right.verb) for right in SUBMITTER_RIGHTS if right.allowed}


def _rule(line: str) -> tuple[list[str], list[str]]:
    """Return the columns of a line, and the verbs in its last brackets."""
    return line.split(), line.rsplit("[", 1)[1].rstrip("]").split()
