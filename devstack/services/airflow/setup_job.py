"""The Job that creates Airflow's schema and its administrator."""

from __future__ import annotations

from collections.abc import Mapping

from devstack.kube import manifests
from devstack.kube.pods import observe_pod
from devstack.services.airflow.installation import Installation
from devstack.services.base import Manifest, ServiceContext
from devstack.waits import Failed


def setup_id(ctx: ServiceContext, objects: list[Manifest], settings: Mapping[str, str]) -> str:
    """Return an id of this version of the setup; Airflow's components wait for it.

    It includes the cluster: data restored into a new cluster carries the id of an
    earlier setup, and no component may start before the new one.
    """
    specs = [item["spec"] for item in objects if item["kind"] == "Job"]
    return manifests.checksum([specs, dict(settings), ctx.state.cluster])[:8]


def with_job_name(item: Manifest, version: str) -> Manifest:
    """Return the Job with the setup's id in its name, since Jobs are immutable."""
    if item["kind"] != "Job":
        return item
    return {**item, "metadata": {**item["metadata"], "name": f"airflow-setup-{version}"}}


def setup_failure(ctx: ServiceContext, installation: Installation) -> Failed | None:
    """Return why the Job's pods fail; None if they do not."""
    pods = ctx.api.list_objects("v1", "Pod", installation.namespace, labels="component=setup")
    observations = [observe_pod(ctx.api, pod) for pod in pods]
    return next((each for each in observations if isinstance(each, Failed)), None)
