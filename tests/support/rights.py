"""Permissions of identities, and what the API server says about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config


@dataclass(frozen=True)
class Permission:
    """A permission that an identity has or does not have.

    Attributes:
        verb: such as ``create``.
        resource: such as ``jobs.batch`` or ``pods/log``.
        allowed: True if the identity has it.
        namespace: the task namespace if empty, ``*`` for all namespaces.
    """

    verb: str
    resource: str
    allowed: bool
    namespace: str = ""

    def __str__(self) -> str:
        suffix = f" in {self.namespace}" if self.namespace else ""
        return f"{'may' if self.allowed else 'may not'} {self.verb} {self.resource}{suffix}"


def permissions(allowed: bool, table: dict[str, str], namespace: str = "") -> list[Permission]:
    """Return a permission for each verb of each resource; the verbs are separated by spaces."""
    return [
        Permission(verb, resource, allowed, namespace)
        for resource, verbs in table.items()
        for verb in verbs.split()
    ]


def connect(kubeconfig: Path) -> client.AuthorizationV1Api:
    """Return a client that keeps one connection."""
    return client.AuthorizationV1Api(config.new_client_from_config(str(kubeconfig)))


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
    return allowed(review)


def allowed(review: Any) -> bool:
    """Return the answer of a review."""
    assert not review.status.evaluation_error
    return bool(review.status.allowed)
