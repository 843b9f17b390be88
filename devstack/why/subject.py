"""The JobSet, Job or pod that `devstack why` explains, found by its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from devstack.errors import DevstackError, ExitStatus
from devstack.kube.client import KubeClient, Object
from devstack.kube.gangs import JOB_NAME, JOBSET_NAME, is_over
from devstack.kube.resources import BATCH, JOBSET

_KINDS = {"jobset": (JOBSET, "JobSet"), "job": (BATCH, "Job"), "pod": ("v1", "Pod")}
"""In the order in which a bare name is looked up: owners before their pods."""


_OBJECT_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
"""What Kubernetes accepts as the name of an object; an empty name would mean the list."""


@dataclass(frozen=True)
class Subject:
    """A workload.

    Attributes:
        kind: "JobSet", "Job" or "Pod".
        item: the object.
        pods: its pods, including those that have ended.
        jobset: the JobSet that it is or belongs to, if any.
    """

    kind: str
    item: Object
    pods: Sequence[Object]
    jobset: Object | None = None

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.item["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.item["metadata"]["name"])

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def find_subject(client: KubeClient, reference: str, namespace: str) -> Subject:
    """Find a workload by its name.

    Args:
        client: the API.
        reference: a name, or ``jobset/NAME``, ``job/NAME``, ``pod/NAME``.
        namespace: the workload's namespace.

    Raises:
        DevstackError: ``WORKLOAD_NOT_FOUND``, or ``USAGE`` for an unknown kind.
    """
    kind, _, name = reference.rpartition("/")
    if not _OBJECT_NAME.fullmatch(name):
        raise _not_found(client, reference, namespace)
    kinds = [kind.lower().removesuffix("s")] if kind else list(_KINDS)
    for each in kinds:
        if each not in _KINDS:
            raise _unknown_kind(kind)
        item = client.find(*_KINDS[each], name, namespace)
        if item is not None:
            return _subject(client, _KINDS[each][1], item)
    raise _not_found(client, reference, namespace)


def active_jobsets(client: KubeClient, namespace: str) -> list[str]:
    """Return the names of the JobSets that have not ended."""
    found = client.list_objects(JOBSET, "JobSet", namespace)
    return [item["metadata"]["name"] for item in found if not is_over(item)]


def _subject(client: KubeClient, kind: str, item: Object) -> Subject:
    metadata = item["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    if kind == "Pod":
        pods = [item]
    else:
        label = JOBSET_NAME if kind == "JobSet" else JOB_NAME
        pods = client.list_objects("v1", "Pod", namespace, labels=f"{label}={name}")
    jobset = item if kind == "JobSet" else _owner(client, item)
    return Subject(kind, item, [pod for pod in pods if not _is_terminating(pod)], jobset)


def _owner(client: KubeClient, item: Object) -> Object | None:
    name = (item["metadata"].get("labels") or {}).get(JOBSET_NAME)
    return client.find(JOBSET, "JobSet", name, item["metadata"]["namespace"]) if name else None


def _is_terminating(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _unknown_kind(kind: str) -> DevstackError:
    return DevstackError(
        f"cannot explain a {kind!r}",
        remedy=f"name one of {', '.join(f'{each}/NAME' for each in _KINDS)}",
        code="USAGE",
        exit_status=ExitStatus.USAGE,
    )


def _not_found(client: KubeClient, reference: str, namespace: str) -> DevstackError:
    active = active_jobsets(client, namespace)
    return DevstackError(
        f"there is no JobSet, Job or pod {reference!r} in namespace {namespace!r}",
        cause=f"the active JobSets are {', '.join(active)}" if active else "no JobSet is active",
        remedy="devstack kubectl get jobs,pods; another namespace with --namespace",
        code="WORKLOAD_NOT_FOUND",
        exit_status=ExitStatus.USAGE,
    )
