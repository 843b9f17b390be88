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
EVENTS_CONTROLLER = [
    *permissions(
        True,
        {
            "sensors.argoproj.io": "get list watch update",
            "sensors.argoproj.io/status": "update",
            "eventsources.argoproj.io": "get list watch update",
            "eventbus.argoproj.io": "get list watch update",
            "deployments.apps": "get list watch create update",
        },
        "argo-sensors",
    ),
    *permissions(
        False,
        {
            "sensors.argoproj.io": "create delete",
            "secrets": "get list create",
            "pods": "list create",
            "statefulsets.apps": "create",
            "services": "create",
            "serviceaccounts/token": "create",
        },
        "argo-sensors",
    ),
    *permissions(
        False, {"workflows.argoproj.io": "get create", "deployments.apps": "create", "pods": "list"}
    ),
    *permissions(False, {"secrets": "get", "deployments.apps": "create"}, "argo-events"),
    *SECRETS,
    *ELSEWHERE,
]
SENSOR = [
    *permissions(True, {"workflows.argoproj.io": "create get patch"}),
    *permissions(
        False,
        {
            "workflows.argoproj.io": "list watch update delete",
            "workflowtemplates.argoproj.io": "get list create",
            "pods": "list create",
            "configmaps": "get list",
        },
    ),
    *permissions(
        False, {"secrets": "get list", "sensors.argoproj.io": "get create update"}, "argo-sensors"
    ),
    *SECRETS,
    *ELSEWHERE,
]
WEBHOOK = [
    *permissions(False, {"workflows.argoproj.io": "get create", "pods": "list"}),
    *permissions(False, {"secrets": "get list", "pods": "list create"}, "argo-sensors"),
    *SECRETS,
    *ELSEWHERE,
]
EVENTS_SUBMITTER = [
    *permissions(True, {"sensors.argoproj.io": "create get update delete"}, "argo-sensors"),
    *permissions(
        False,
        {
            "sensors.argoproj.io": "list watch",
            "eventsources.argoproj.io": "get create update delete",
            "eventbus.argoproj.io": "get update delete",
            "secrets": "get list",
            "pods": "list create",
            "deployments.apps": "create",
        },
        "argo-sensors",
    ),
]
EVENTS_ACCOUNTS: dict[tuple[str, str], list[Permission]] = {
    ("argo-events", "argo-events-controller"): EVENTS_CONTROLLER,
    ("argo-sensors", "argo-sensor"): SENSOR,
    ("argo-sensors", "argo-webhook"): WEBHOOK,
    ("metaflow", "metaflow-submitter"): EVENTS_SUBMITTER,
}
"""Permissions by namespace and service account, with Argo Events."""

ACCOUNTS: dict[tuple[str, str], list[Permission]] = {
    ("argo", "argo-controller"): CONTROLLER,
    ("argo", "argo-server"): SERVER,
    ("metaflow", "argo-executor"): EXECUTOR,
    ("metaflow", "argo-user"): USER,
    ("metaflow", "metaflow-submitter"): SUBMITTER,
    ("metaflow", "metaflow-task"): TASK,
}
"""Permissions by namespace and service account."""
