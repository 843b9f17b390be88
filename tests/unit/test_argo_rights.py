"""The permissions that tests/argo expects are those of the manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from devstack.kube import manifests
from devstack.kube.client import Object
from tests.argo.rbac_matrix import ACCOUNTS, EVENTS_ACCOUNTS
from tests.support.rights import Permission

OBJECTS = [item for folder in ("argo", "argo-events", "rbac") for item in manifests.load(folder)]


def rules(namespace: str, account: str) -> Iterator[tuple[str, Object]]:
    """Yield an account's rules with the namespaces that they are for."""
    roles = {
        (item["metadata"].get("namespace"), item["metadata"]["name"]): item
        for item in OBJECTS
        if item["kind"] == "Role"
    }
    for item in OBJECTS:
        subjects = [(each["namespace"], each["name"]) for each in item.get("subjects", [])]
        if item["kind"] == "RoleBinding" and (namespace, account) in subjects:
            where = item["metadata"]["namespace"]
            yield from ((where, rule) for rule in roles[where, item["roleRef"]["name"]]["rules"])


def grants(rule: Object, permission: Permission) -> bool:
    name, slash, subresource = permission.resource.partition("/")
    resource, _, group = name.partition(".")
    return (
        "resourceNames" not in rule
        and group in rule["apiGroups"]
        and resource + slash + subresource in rule["resources"]
        and permission.verb in rule["verbs"]
    )


@pytest.mark.parametrize(
    ("matrix", "namespace", "account"),
    [(matrix, *account) for matrix in (ACCOUNTS, EVENTS_ACCOUNTS) for account in matrix],
)
def test_an_account_has_the_permissions_of_the_matrix(
    matrix: Mapping[tuple[str, str], list[Permission]], namespace: str, account: str
) -> None:
    found = list(rules(namespace, account))
    for permission in matrix[namespace, account]:
        wanted = permission.namespace or "metaflow"
        granted = any(where == wanted and grants(rule, permission) for where, rule in found)
        assert granted == permission.allowed, str(permission)
