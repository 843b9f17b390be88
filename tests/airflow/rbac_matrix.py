"""The permissions of each identity in a stack, as data."""

from __future__ import annotations

from dataclasses import dataclass

SUBMITTER = "metaflow-submitter"
TASK = "metaflow-task"
AIRFLOW = "airflow"
"""Service account in the namespace ``airflow``."""


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


def _permissions(allowed: bool, table: dict[str, str], namespace: str = "") -> list[Permission]:
    return [
        Permission(verb, resource, allowed, namespace)
        for resource, verbs in table.items()
        for verb in verbs.split()
    ]


# Requests of Metaflow's client: docs/adr/0003 and Metaflow's plugins/kubernetes.
SUBMITTER_PERMISSIONS = [
    *_permissions(
        True,
        {
            "jobs.batch": "create get patch delete",
            "jobsets.jobset.x-k8s.io": "create get delete",
            "pods": "get list",
            "pods/log": "get",
            "pods/exec": "get create",
            "events": "get list",
        },
    ),
    *_permissions(
        False,
        {
            "jobs.batch": "list watch update deletecollection",
            "jobsets.jobset.x-k8s.io": "list watch update patch",
            "pods": "create delete patch update watch",
            "pods/portforward": "create",
            "pods/attach": "create",
            "pods/ephemeralcontainers": "patch",
            "secrets": "get list create delete",
            "configmaps": "get create",
            "serviceaccounts": "get impersonate",
            "serviceaccounts/token": "create",
            "services": "get create",
            "persistentvolumeclaims": "get create",
            "deployments.apps": "get create",
            "roles.rbac.authorization.k8s.io": "get create bind escalate",
            "rolebindings.rbac.authorization.k8s.io": "create",
        },
    ),
    *_permissions(
        True,
        {
            "nodes": "get list",
            "nodes.metrics.k8s.io": "get list",
            "pods.metrics.k8s.io": "get list",
        },
        namespace="*",
    ),
    *_permissions(
        False,
        {
            "nodes": "create update patch delete",
            "namespaces": "list create delete",
            "persistentvolumes": "list",
            "pods": "list",
            "secrets": "list",
            "clusterroles.rbac.authorization.k8s.io": "get create",
            "clusterrolebindings.rbac.authorization.k8s.io": "create",
            "customresourcedefinitions.apiextensions.k8s.io": "get",
        },
        namespace="*",
    ),
    *_permissions(
        False, {"pods": "list create", "secrets": "get", "jobs.batch": "create"}, "devstack"
    ),
    *_permissions(False, {"pods": "list", "secrets": "get"}, "jobset-system"),
    *_permissions(False, {"pods": "list", "secrets": "get", "pods/exec": "create"}, "kube-system"),
]

TASK_PERMISSIONS = [
    *_permissions(
        False,
        {
            "jobs.batch": "create get list",
            "jobsets.jobset.x-k8s.io": "create get list",
            "pods": "get list create delete",
            "pods/log": "get",
            "pods/exec": "create",
            "secrets": "get list",
            "events": "list create",
        },
    ),
    *_permissions(False, {"nodes": "list", "namespaces": "list", "secrets": "list"}, namespace="*"),
]

# Requests of KubernetesPodOperator, from the provider's source; see docs/adr/0008.
AIRFLOW_PERMISSIONS = [
    *_permissions(
        True,
        {
            "pods": "create get list patch delete",
            "pods/log": "get",
            "pods/exec": "get create",
            "events": "list",
        },
    ),
    *_permissions(
        False,
        {
            "pods": "watch update deletecollection",
            "pods/portforward": "create",
            "pods/attach": "create",
            "jobs.batch": "create get list",
            "jobsets.jobset.x-k8s.io": "create get list",
            "events": "get create",
            "secrets": "get list create",
            "configmaps": "get list create",
            "serviceaccounts": "get",
            "serviceaccounts/token": "create",
            "persistentvolumeclaims": "get create",
            "roles.rbac.authorization.k8s.io": "get create bind escalate",
        },
    ),
    # Worker pods are for KubernetesExecutor, which is not the default.
    *_permissions(
        False, {"pods": "create get list", "secrets": "get", "pods/exec": "create"}, "airflow"
    ),
    *_permissions(False, {"pods": "list create", "secrets": "get"}, "postgres"),
    *_permissions(False, {"pods": "list", "secrets": "get", "pods/exec": "create"}, "kube-system"),
    *_permissions(
        False,
        {"nodes": "list", "namespaces": "list", "pods": "list create", "secrets": "list"},
        namespace="*",
    ),
]
