"""The permissions of each identity in a stack, as data."""

from __future__ import annotations

from tests.support.rights import permissions

SUBMITTER = "metaflow-submitter"
TASK = "metaflow-task"
AIRFLOW = "airflow"
"""Service account in the namespace ``airflow``."""

# Requests of Metaflow's client: docs/adr/0003 and Metaflow's plugins/kubernetes.
SUBMITTER_PERMISSIONS = [
    *permissions(
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
    *permissions(
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
    *permissions(
        True,
        {
            "nodes": "get list",
            "nodes.metrics.k8s.io": "get list",
            "pods.metrics.k8s.io": "get list",
        },
        namespace="*",
    ),
    *permissions(
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
    *permissions(
        False, {"pods": "list create", "secrets": "get", "jobs.batch": "create"}, "devstack"
    ),
    *permissions(False, {"pods": "list", "secrets": "get"}, "jobset-system"),
    *permissions(False, {"pods": "list", "secrets": "get", "pods/exec": "create"}, "kube-system"),
]

TASK_PERMISSIONS = [
    *permissions(
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
    *permissions(False, {"nodes": "list", "namespaces": "list", "secrets": "list"}, namespace="*"),
]

# Requests of KubernetesPodOperator, from the provider's source; see docs/adr/0008.
AIRFLOW_PERMISSIONS = [
    *permissions(
        True,
        {
            "pods": "create get list patch delete",
            "pods/log": "get",
            "pods/exec": "get create",
            "events": "list",
        },
    ),
    *permissions(
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
    *permissions(
        False, {"pods": "create get list", "secrets": "get", "pods/exec": "create"}, "airflow"
    ),
    *permissions(False, {"pods": "list create", "secrets": "get"}, "postgres"),
    *permissions(False, {"pods": "list", "secrets": "get", "pods/exec": "create"}, "kube-system"),
    *permissions(
        False,
        {"nodes": "list", "namespaces": "list", "pods": "list create", "secrets": "list"},
        namespace="*",
    ),
]
