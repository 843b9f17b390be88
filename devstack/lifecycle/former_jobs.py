"""Remove the Jobs that services needed with earlier settings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from devstack.kube.client import KubeClient, Object
from devstack.kube.manifests import OWNER_LABEL
from devstack.stack import Stack
from devstack.waits import Observation, Ready, Waiting, wait_until

_NAME = "app.kubernetes.io/name"


def delete_former_jobs(stack: Stack, manifests: Sequence[Object]) -> None:
    """Delete a service's Jobs of earlier settings, if it has a Job now that is yet to be created.

    Their names have checksums of the settings. Without the deletion, the Job of settings that
    return would count as complete, although that of others ran after it; and one that still runs
    could end after the new one.

    Args:
        stack: the stack.
        manifests: a service's objects with the present settings.

    Raises:
        DevstackError: ``WAIT_TIMEOUT`` or the API's error.
    """
    client = stack.kube()
    jobs = [item["metadata"] for item in manifests if item["kind"] == "Job"]
    wanted = {job["name"] for job in jobs}
    for job in jobs:
        found = client.list_objects("batch/v1", "Job", job["namespace"], labels=_selector(job))
        names = {each["metadata"]["name"] for each in found}
        if job["name"] not in names:
            for former in sorted(names - wanted):
                _delete(stack, client, former, job["namespace"])


def _selector(job: Object) -> str:
    labels = {name: job["labels"].get(name) for name in (_NAME, OWNER_LABEL)}
    return ",".join(f"{name}={value}" for name, value in labels.items() if value)


def _delete(stack: Stack, client: KubeClient, name: str, namespace: str) -> None:
    # With its pods, so that none of them goes on while the next Job runs.
    client.delete("batch/v1", "Job", name, namespace, propagation="Foreground")
    wait_until(
        partial(_observe, client, name, namespace),
        what=f"the Job {namespace}/{name} of earlier settings to end",
        timeout=stack.spec.timeout,
        clock=stack.clock,
        note=stack.progress.note,
    )


def _observe(client: KubeClient, name: str, namespace: str) -> Observation:
    if client.find("batch/v1", "Job", name, namespace) is None:
        return Ready()
    return Waiting("its pods are ending")
