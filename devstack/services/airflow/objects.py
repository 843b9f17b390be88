"""The objects of k8s/airflow, adapted to one installation on one stack."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

from devstack.airflow_settings import has_worker_pods
from devstack.kube import manifests
from devstack.services.airflow import config as airflow_config
from devstack.services.airflow.address import flower_prefix, path_prefix
from devstack.services.airflow.dag_delivery import VOLUME, dags_claim, dags_folder
from devstack.services.airflow.installation import Installation
from devstack.services.base import Manifest, ServiceContext

KUBECONFIG = "/etc/airflow/kubeconfig"
"""Kubeconfig in the scheduler's pod, for DAGs that name the cluster by one; see k8s/airflow."""

CONFIG = ("ConfigMap", "airflow-config")
SCHEDULER = ("Deployment", "airflow-scheduler")
FLOWER = ("Deployment", "airflow-flower")
WEBSERVER = ("Deployment", "airflow-webserver")

_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")

_NAMESPACE = "airflow"
"""Airflow's namespace in the files below k8s/."""
_TASK_NAMESPACE = "metaflow"
"""The task namespace in the files below k8s/."""


def all_objects(ctx: ServiceContext, installation: Installation) -> list[Manifest]:
    """Return all objects of k8s/airflow, whether or not the settings need them."""
    images, namespace = _images(ctx, installation), ctx.state.namespace
    files = [*manifests.load("airflow"), *manifests.load("airflow/celery")]
    objects = manifests.with_namespace(files, _TASK_NAMESPACE, namespace)
    if installation.prefix:
        # Node ports are the first installation's: those of the others are forwarded.
        objects = [item for item in objects if item.get("spec", {}).get("type") != "NodePort"]
    objects = [_of_installation(item, installation) for item in objects]
    objects = [_with_sidecar(item, images) for item in manifests.with_images(objects, images)]
    settings = installation.settings(ctx.state.airflow)
    claim = dags_claim(settings)
    objects = [_with_dags_volume(item, claim) for item in objects]
    prefixes = {WEBSERVER: path_prefix(settings), FLOWER: flower_prefix(settings)}
    objects = [_with_probe_paths(item, prefixes.get(key(item), "")) for item in objects]
    return [_with_settings(item, objects, ctx, installation) for item in objects]


def _images(ctx: ServiceContext, installation: Installation) -> Mapping[str, str]:
    """Return the images by name; the first Airflow's with what the stack has added to it."""
    if installation.prefix or not ctx.state.airflow_image:
        return ctx.state.images
    return {**ctx.state.images, "airflow": ctx.state.airflow_image}


def key(item: Manifest) -> tuple[str, str]:
    """Return an object's kind and name."""
    return item["kind"], item["metadata"]["name"]


def change_pods(item: Manifest, change: Callable[[Manifest], None]) -> Manifest:
    """Return a copy of a workload whose pod's spec ``change`` has changed; others unchanged.

    Args:
        item: any object.
        change: gets the spec of the pods, and changes it.
    """
    if "template" not in item.get("spec", {}):
        return item
    changed = copy.deepcopy(item)
    change(changed["spec"]["template"]["spec"])
    return changed


def _of_installation(item: Manifest, installation: Installation) -> Manifest:
    """Return an object with the installation's namespace, and a name that no other one has."""
    if not installation.prefix:
        return item
    (changed,) = manifests.with_namespace([item], _NAMESPACE, installation.namespace)
    metadata = changed["metadata"]
    if metadata.get("namespace") not in (None, installation.namespace):
        metadata["name"] = installation.named(metadata["name"])
        if "roleRef" in changed:
            changed["roleRef"]["name"] = installation.named(changed["roleRef"]["name"])
    return changed


def _with_sidecar(item: Manifest, images: Mapping[str, str]) -> Manifest:
    """Return a workload with the stack's image for the XCom sidecar."""
    if item["kind"] == "Job" or "xcom" not in images:
        return item

    def change(pod: Manifest) -> None:
        for variable in pod["containers"][0].get("env", ()):
            if variable["name"] == "DEVSTACK_XCOM_IMAGE":
                variable["value"] = images["xcom"]

    return change_pods(item, change)


def _with_dags_volume(item: Manifest, claim: str) -> Manifest:
    """Return a workload that mounts the volume of DAG files; others unchanged.

    Args:
        item: any object.
        claim: the volume's claim; empty for none.
    """
    if not claim:
        return item

    def change(pod: Manifest) -> None:
        volume = {"name": "dags", "persistentVolumeClaim": {"claimName": claim}}
        pod["volumes"] = [*pod["volumes"], volume]
        for container in pod["containers"]:
            mount = {"name": "dags", "mountPath": dags_folder({"dags": VOLUME})}
            container["volumeMounts"] = [*container["volumeMounts"], mount]

    return change_pods(item, change)


def _with_probe_paths(item: Manifest, prefix: str) -> Manifest:
    """Return a workload with probes below the path of ``base_url``, if it has one."""
    if not prefix:
        return item

    def change(pod: Manifest) -> None:
        for name in _PROBES:
            request = pod["containers"][0][name]["httpGet"]
            request["path"] = prefix + request["path"]

    return change_pods(item, change)


def _with_settings(
    item: Manifest, objects: list[Manifest], ctx: ServiceContext, installation: Installation
) -> Manifest:
    """Return the ConfigMap with the settings of the stack; others unchanged."""
    if key(item) != CONFIG:
        return item
    settings = installation.settings(ctx.state.airflow)
    changed = airflow_config.with_settings(item, settings, installation)
    if not has_worker_pods(settings):
        return changed
    scheduler = next(each for each in objects if key(each) == SCHEDULER)
    return airflow_config.with_worker(changed, scheduler)
