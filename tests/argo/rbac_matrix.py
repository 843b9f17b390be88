"""The permissions of each identity of Argo, as data."""

from __future__ import annotations

from tests.support.rights import Permission, permissions

WRITE = "create update patch delete deletecollection"
ELSEWHERE = [
    *permissions(False, {"pods": "list create", "secrets": "get list"}, "devstack"),
    *permissions(False, {"pods": "list", "secrets": "get", "pods/exec": "create"}, "kube-system"),
    *permissions(
        False,
        {
            "pods": "list",
            "secrets": "list",
            "nodes": "list",
            "clusterworkflowtemplates.argoproj.io": "get list create",
            "clusterrolebindings.rbac.authorization.k8s.io": "create",
        },
        "*",
    ),
]
"""What no account of Argo may do."""

SECRETS = permissions(
    False,
    {
        "secrets": "get list create delete",
        "serviceaccounts/token": "create",
        "rolebindings.rbac.authorization.k8s.io": "create",
    },
)

CONTROLLER = [
    *permissions(
        True,
        {
            "workflows.argoproj.io": "get list watch create update patch delete",
            "workflowtemplates.argoproj.io": "get list watch",
            "cronworkflows.argoproj.io": "get list watch patch",
            "workflowtaskresults.argoproj.io": "get list watch deletecollection",
            "workflowtasksets.argoproj.io": "get list watch create patch",
            "workflowartifactgctasks.argoproj.io": "list watch create delete",
            "pods": "get list watch create patch delete",
            "pods/exec": "create",
            "configmaps": "get list watch create",
            "persistentvolumeclaims": "create delete",
            "serviceaccounts": "get",
            "events": "create patch",
        },
    ),
    *permissions(
        False,
        {
            "workflowtemplates.argoproj.io": WRITE,
            "jobsets.jobset.x-k8s.io": "create get delete",
            "jobs.batch": "create delete",
            "deployments.apps": "create",
        },
    ),
    *permissions(
        False, {"secrets": "get", "pods": "list", "leases.coordination.k8s.io": "create"}, "argo"
    ),
    *SECRETS,
    *ELSEWHERE,
]
EXECUTOR = [
    *permissions(
        True,
        {
            "workflowtaskresults.argoproj.io": "create patch",
            "jobsets.jobset.x-k8s.io": "create get",
        },
    ),
    *permissions(
        False,
        {
            "workflowtaskresults.argoproj.io": "get list delete",
            "workflows.argoproj.io": f"get list {WRITE}",
            "jobsets.jobset.x-k8s.io": "list delete patch",
            "pods": f"get list {WRITE}",
            "pods/exec": "create",
            "configmaps": "get create",
        },
    ),
    *SECRETS,
    *ELSEWHERE,
]
SERVER = [
    *permissions(
        True,
        {
            "workflows.argoproj.io": "get list watch",
            "workflowtemplates.argoproj.io": "get list watch",
        },
    ),
    *permissions(False, {"workflows.argoproj.io": WRITE, "pods": "list", "pods/log": "get"}),
    *permissions(False, {"secrets": "get", "configmaps": "list"}, "argo"),
    *SECRETS,
    *ELSEWHERE,
]
USER = [
    *permissions(
        True,
        {
            "workflows.argoproj.io": "create get list watch update patch delete",
            "workflowtemplates.argoproj.io": "create get list watch update patch delete",
            "cronworkflows.argoproj.io": "create get list watch update patch delete",
            "pods": "get list watch",
            "pods/log": "get",
            "events": "list watch",
        },
    ),
    *permissions(False, {"pods": WRITE, "pods/exec": "create", "jobs.batch": "create"}),
    *SECRETS,
    *ELSEWHERE,
]
# metaflow/plugins/argo/argo_client.py; its other rights are in tests/airflow/rbac_matrix.py.
SUBMITTER = [
    *permissions(
        True,
        {
            "workflows.argoproj.io": "create get list patch",
            "workflowtemplates.argoproj.io": "create get list update delete",
            "cronworkflows.argoproj.io": "create get update delete",
            "sensors.argoproj.io": "delete",
        },
    ),
    *permissions(
        False,
        {
            "workflows.argoproj.io": "delete update watch",
            "workflowtaskresults.argoproj.io": "get create patch",
            "sensors.argoproj.io": "get create",
        },
    ),
    *SECRETS,
]
TASK = permissions(
    False,
    {
        "workflows.argoproj.io": "get list create",
        "workflowtemplates.argoproj.io": "get list",
        "workflowtaskresults.argoproj.io": "create patch",
        "jobsets.jobset.x-k8s.io": "create get",
        "pods": "get list create",
    },
)
ACCOUNTS: dict[tuple[str, str], list[Permission]] = {
    ("argo", "argo-controller"): CONTROLLER,
    ("argo", "argo-server"): SERVER,
    ("metaflow", "argo-executor"): EXECUTOR,
    ("metaflow", "argo-user"): USER,
    ("metaflow", "metaflow-submitter"): SUBMITTER,
    ("metaflow", "metaflow-task"): TASK,
}
"""Permissions by namespace and service account."""
