"""Which objects of Airflow the settings need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devstack.airflow_settings import has_celery, has_worker_pods, is_scaled
from devstack.kube import manifests
from devstack.services.airflow.celery import FOLDER
from devstack.services.airflow.dag_delivery import OWN_CLAIM, dags_claim
from devstack.services.airflow.objects import key
from devstack.services.base import Manifest

WORKER_PODS = frozenset({("Role", "airflow-workers"), ("RoleBinding", "airflow-workers")})
"""What allows worker pods, which only Kubernetes' executors create."""


DAGS_VOLUME = frozenset({("PersistentVolumeClaim", OWN_CLAIM)})
"""The volume of DAG files, unless they come otherwise, or from a volume of the user's."""


def needed(objects: list[Manifest], settings: Mapping[str, Any]) -> list[Manifest]:
    """Return the objects that the settings need, in the same order.

    Args:
        objects: all objects of Airflow.
        settings: the table ``[airflow]`` of devstack.toml.
    """
    omitted = _omitted(settings)
    return [item for item in objects if key(item) not in omitted]


def not_needed(objects: list[Manifest], settings: Mapping[str, Any]) -> list[Manifest]:
    """Return the objects that earlier settings may have left, in order of deletion."""
    omitted = _omitted(settings)
    # Users decide about what they have stored.
    kept = (item for item in reversed(objects) if item["kind"] != "PersistentVolumeClaim")
    return [item for item in kept if key(item) in omitted]


def _omitted(settings: Mapping[str, Any]) -> set[tuple[str, str]]:
    omitted = set() if has_worker_pods(settings) else {*WORKER_PODS}
    if dags_claim(settings) != OWN_CLAIM:
        omitted |= DAGS_VOLUME
    if is_scaled(settings):
        return omitted
    celery = {key(item) for item in manifests.load(FOLDER)}
    autoscaler = {each for each in celery if each[1] == "airflow-autoscaler"}
    return omitted | (autoscaler if has_celery(settings) else celery)
