"""What uses a volume claim: pods, and the Jobs and JobSets that will have pods again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from devstack.kube.api_errors import NotFoundError
from devstack.kube.client import KubeClient, Object
from devstack.kube.conditions import condition_of, has_ended
from devstack.kube.resources import BATCH, JOBSET
from devstack.kube.volumes import claim_names

_FINISHED = ("Complete", "Completed", "Failed")
"""The conditions of a Job, and of a JobSet, that has finished."""


def pods_that_mount(pods: Sequence[Object], claim: str) -> list[str]:
    """Return the names of those pods that mount a claim."""
    return [pod["metadata"]["name"] for pod in pods if claim in claim_names(pod)]


def find_users(
    client: KubeClient, namespace: str, pods: Sequence[Object], claims: Sequence[str]
) -> Mapping[str, str]:
    """Return what uses claims, such as ``pod t-1, job t``, by the claim; unused ones are left out.

    A Job without a pod uses its claim, too: a quota that is used up, or `suspend`, keeps it from
    having one for now.

    Args:
        client: lists the Jobs and JobSets.
        namespace: the namespace of the claims.
        pods: its pods.
        claims: the names of the claims.
    """
    active = [pod for pod in pods if not has_ended(pod)]
    owners = [*_unfinished(client, namespace, BATCH, "Job")]
    owners += _unfinished(client, namespace, JOBSET, "JobSet")
    found = {}
    for claim in claims:
        users = [f"pod {name}" for name in pods_that_mount(active, claim)]
        users += [name for name, names in owners if claim in names]
        if users:
            found[claim] = ", ".join(users)
    return found


def _unfinished(
    client: KubeClient, namespace: str, api_version: str, kind: str
) -> Iterator[tuple[str, set[str]]]:
    """Yield what may have pods again, such as ``job t``, and the claims that it names."""
    try:
        items = client.list_objects(api_version, kind, namespace)
    except NotFoundError:  # the cluster has no JobSets
        return
    for item in items:
        templates = list(_pod_templates(item["spec"]))
        if templates and not _is_finished(item):
            names = {name for template in templates for name in claim_names(template)}
            yield f"{kind.lower()} {item['metadata']['name']}", names


def _pod_templates(spec: Object) -> Iterator[Object]:
    """Yield the templates of the pods that a Job or JobSet will have.

    A Job of parallelism 0 gets none: Metaflow ends a Job so whose pod has not started
    (``kubernetes_job.py``, ``kill``), and it never finishes.
    """
    for each in spec.get("replicatedJobs", []):
        yield from _pod_templates(each["template"]["spec"])
    if "template" in spec and spec.get("parallelism", 1) != 0:
        yield spec["template"]


def _is_finished(item: Object) -> bool:
    return any(condition_of(item, kind).get("status") == "True" for kind in _FINISHED)
