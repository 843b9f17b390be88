"""What is asked about: a JobSet, a Job or a pod, found by its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from devstack.errors import DevstackError, ExitStatus
from devstack.kube.client import KubeClient, Object
from devstack.kube.gangs import JOBSET_NAME, is_over
from devstack.kube.resources import BATCH, JOBSET

_JOB_NAME = "batch.kubernetes.io/job-name"
_KINDS = {"jobset": (JOBSET, "JobSet"), "job": (BATCH, "Job"), "pod": ("v1", "Pod")}
"""In the order in which a bare name is looked up: the whole before its parts."""


@dataclass(frozen=True)
class Subject:
    """Something that should run.

    Attributes:
        kind: "JobSet", "Job" or "Pod".
        item: the object.
        pods: its pods, those that have ended too.
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


def find_subject(client: KubeClient, word: str, namespace: str) -> Subject:
    """Return what ``word`` names.

    Args:
        client: the API.
        word: a name, or ``jobset/NAME``, ``job/NAME``, ``pod/NAME``.
        namespace: where to look.

    Raises:
        DevstackError: ``NOTHING_SO_NAMED``.
    """
    kind, _, name = word.rpartition("/")
    kinds = [kind.lower().removesuffix("s")] if kind else list(_KINDS)
    for each in kinds:
        if each not in _KINDS:
            raise _unknown_kind(kind)
        item = client.find(*_KINDS[each], name, namespace)
        if item is not None:
            return _subject(client, _KINDS[each][1], item)
    raise _nothing(client, word, namespace)


def waiting_jobsets(client: KubeClient, namespace: str) -> list[str]:
    """Return the names of the JobSets that have not ended."""
    found = client.list_objects(JOBSET, "JobSet", namespace)
    return [item["metadata"]["name"] for item in found if not is_over(item)]


def _subject(client: KubeClient, kind: str, item: Object) -> Subject:
    metadata = item["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    if kind == "Pod":
        pods = [item]
    else:
        label = JOBSET_NAME if kind == "JobSet" else _JOB_NAME
        pods = client.list_objects("v1", "Pod", namespace, labels=f"{label}={name}")
    jobset = item if kind == "JobSet" else _owner(client, item)
    return Subject(kind, item, [pod for pod in pods if not _leaves(pod)], jobset)


def _owner(client: KubeClient, item: Object) -> Object | None:
    name = (item["metadata"].get("labels") or {}).get(JOBSET_NAME)
    return client.find(JOBSET, "JobSet", name, item["metadata"]["namespace"]) if name else None


def _leaves(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _unknown_kind(kind: str) -> DevstackError:
    return DevstackError(
        f"cannot explain a {kind!r}",
        remedy=f"name one of {', '.join(f'{each}/NAME' for each in _KINDS)}",
        code="USAGE",
        exit_status=ExitStatus.USAGE,
    )


def _nothing(client: KubeClient, word: str, namespace: str) -> DevstackError:
    there = waiting_jobsets(client, namespace)
    return DevstackError(
        f"there is no JobSet, Job or pod {word!r} in namespace {namespace!r}",
        cause=f"the JobSets under way are {', '.join(there)}"
        if there
        else "no JobSet is under way",
        remedy="devstack kubectl get jobs,pods; another namespace with --namespace",
        code="NOTHING_SO_NAMED",
        exit_status=ExitStatus.USAGE,
    )
