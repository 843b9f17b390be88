"""All checks, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Mapping

from devstack.doctor.airflow import AIRFLOW_CHECKS
from devstack.doctor.argo import ARGO_CHECKS
from devstack.doctor.celery import CELERY_CHECKS
from devstack.doctor.check import Check
from devstack.doctor.clock import CLOCK_CHECKS
from devstack.doctor.dag_delivery import DAG_DELIVERY_CHECKS
from devstack.doctor.datastore import DATASTORE_CHECKS
from devstack.doctor.engine import ENGINE_CHECKS
from devstack.doctor.images import IMAGES_CHECKS
from devstack.doctor.inotify import INOTIFY_CHECKS
from devstack.doctor.kubeconfig import KUBECONFIG_CHECKS
from devstack.doctor.leftovers import LEFTOVERS_CHECKS
from devstack.doctor.machine import MACHINE_CHECKS
from devstack.doctor.network import NETWORK_CHECKS
from devstack.doctor.nodes import NODES_CHECKS
from devstack.doctor.pipelines import PIPELINES_CHECKS
from devstack.doctor.pod_settings import POD_SETTINGS_CHECKS
from devstack.doctor.rights import RIGHTS_CHECKS
from devstack.doctor.sensors import SENSORS_CHECKS
from devstack.doctor.stack import STACK_CHECKS
from devstack.doctor.storage import STORAGE_CHECKS

_BY_NAME = {
    check.name: check
    for checks in (
        MACHINE_CHECKS,
        STORAGE_CHECKS,
        ENGINE_CHECKS,
        INOTIFY_CHECKS,
        CLOCK_CHECKS,
        NETWORK_CHECKS,
        LEFTOVERS_CHECKS,
        STACK_CHECKS,
        KUBECONFIG_CHECKS,
        NODES_CHECKS,
        IMAGES_CHECKS,
        DATASTORE_CHECKS,
        RIGHTS_CHECKS,
        POD_SETTINGS_CHECKS,
        AIRFLOW_CHECKS,
        CELERY_CHECKS,
        DAG_DELIVERY_CHECKS,
        ARGO_CHECKS,
        SENSORS_CHECKS,
        PIPELINES_CHECKS,
    )
    for check in checks
}

_GROUPS = {
    "Machine": "provider requirements tools certificates disk memory free-ports",
    "Container engine": "engine context platform cgroup vm engine-disk inotify clock "
    "address-pools leftovers",
    "Cluster": "owner cluster api nodes kubeconfig images dns network-policies",
    "Stack": "state phase files ports services datastore database",
    "Task pods": "secrets rights quota task-pods proxies pod-certificates",
    "Airflow": "scheduler dags celery dag-delivery",
    "Argo Workflows": "argo-controller argo-server workflows argo-artifacts sensors",
    "Kubeflow Pipelines": "pipelines",
}

GROUPS: Mapping[str, tuple[Check, ...]] = {
    title: tuple(_BY_NAME[name] for name in names.split()) for title, names in _GROUPS.items()
}
"""The checks by the title below which they are shown."""

CHECKS = tuple(check for checks in GROUPS.values() for check in checks)
"""All checks."""
