"""Apply manifests to the cluster, and delete their objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from devstack.errors import DevstackError, ExitStatus
from devstack.kube.api_errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    ServerFaultError,
    UnreachableError,
)
from devstack.kube.client import FIELD_MANAGER, KubeClient, Object
from devstack.kube.differences import differs
from devstack.kube.manifests import OWNER_ANNOTATION, OWNER_LABEL
from devstack.kube.transport import POOL_SIZE
from devstack.waits import Clock, Failed, Observation, Ready, Waiting, wait_until

_CRD = "CustomResourceDefinition"
# Controllers delete a token at once if they do not find its service account.
_FIRST = ("Namespace", _CRD, "ServiceAccount")
_WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet", "Job")
_PART_OF = "app.kubernetes.io/part-of"


@dataclass(frozen=True)
class Difference:
    """An object that is missing or differs from its manifest.

    Attributes:
        manifest: the desired object.
        field: the first field that differs; empty if the object is missing.
        terminating: True if the existing object is being deleted.
        foreign: True if the existing object belongs to another owner.
        owner: user, machine and state directory of the other stack; empty if unknown.
    """

    manifest: Object
    field: str = ""
    terminating: bool = False
    foreign: bool = False
    owner: str = ""

    def __str__(self) -> str:
        why = "not created by this stack" if self.foreign else self.field or "missing"
        return f"{identify(self.manifest)} ({why})"


@dataclass(frozen=True)
class WaitOptions:
    """How to wait for the API to do what was requested.

    Attributes:
        timeout: seconds for each object.
        clock: the clock of the timeout.
        note: called with what is being waited for.
    """

    timeout: float
    clock: Clock
    note: Callable[[str], None] | None = None

    def wait(self, observe: Callable[[], Observation], what: str) -> None:
        """Wait until ``observe`` returns Ready; see `devstack.waits.wait_until`."""
        wait_until(observe, what=what, timeout=self.timeout, clock=self.clock, note=self.note)


def identify(manifest: Object) -> str:
    """Return an object's kind and name: "Secret devstack/minio"."""
    metadata = manifest["metadata"]
    namespace = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{manifest['kind']} {namespace}{metadata['name']}"


def differing(client: KubeClient, manifests: Sequence[Object]) -> list[Difference]:
    """Return what `apply_all` would write, in order; only reads."""
    with ThreadPoolExecutor(POOL_SIZE) as pool:
        compared = pool.map(partial(_compare, client), manifests)
        return [difference for difference in compared if difference]


def any_present(client: KubeClient, manifests: Sequence[Object]) -> bool:
    """Return True if the cluster has one of the objects, and devstack created it."""
    with ThreadPoolExecutor(POOL_SIZE) as pool:
        found = list(pool.map(partial(_live, client), manifests))
    return any(live and _is_ours(live, item) for live, item in zip(found, manifests, strict=True))


def apply_all(
    client: KubeClient,
    manifests: Sequence[Object],
    *,
    timeout: float,
    clock: Clock,
    note: Callable[[str], None] | None = None,
    before_workloads: Callable[[], None] | None = None,
) -> list[str]:
    """Apply the objects that are missing or differ, and no others.

    Args:
        client: the API.
        manifests: in any order; namespaces and CRDs go first, workloads last.
        timeout: seconds for each object to be accepted.
        clock: the clock of the timeout.
        note: called with what is being waited for.
        before_workloads: called before workloads whose pods call the API, if there
            are any to write.

    Returns:
        The objects written, as `identify` names them.

    Raises:
        DevstackError: ``OBJECT_FOREIGN`` before anything is written,
            ``WAIT_TIMEOUT``, or the API's error.
    """
    options = WaitOptions(timeout, clock, note)
    changes = differing(client, manifests)
    _require_ours(changes, client.context)
    terminating = [change.manifest for change in changes if change.terminating]
    if terminating:
        _wait_deleted(client, terminating, options)
        # The deletion of a namespace deletes objects that were unchanged before.
        changes = differing(client, manifests)
    manifests = [change.manifest for change in changes]
    _apply_in_waves(client, manifests, options, before_workloads)
    return [identify(manifest) for manifest in manifests]


def delete_all(
    client: KubeClient,
    manifests: Sequence[Object],
    *,
    timeout: float,
    clock: Clock,
    note: Callable[[str], None] | None = None,
) -> list[str]:
    """Delete the objects that devstack created, and wait until they no longer exist.

    Args:
        client: the API.
        manifests: in the order to delete them.
        timeout: seconds for the deletion of each object.
        clock: the clock of the timeout.
        note: called with what is being waited for.

    Returns:
        The objects that existed, as `identify` names them.

    Raises:
        DevstackError: ``WAIT_TIMEOUT`` or the API's error.
    """
    found = [(item, _live(client, item)) for item in manifests]
    ours = [item for item, live in found if live and _is_ours(live, item)]
    deleted = [manifest for manifest in ours if _delete(client, manifest)]
    _wait_deleted(client, deleted, WaitOptions(timeout, clock, note))
    return [identify(manifest) for manifest in deleted]


def _compare(client: KubeClient, manifest: Object) -> Difference | None:
    live = _live(client, manifest)
    if live is None:
        return Difference(manifest)
    if not _is_ours(live, manifest):
        return Difference(manifest, foreign=True, owner=_annotated_owner(live))
    if live["metadata"].get("deletionTimestamp"):
        return Difference(manifest, "metadata.deletionTimestamp", terminating=True)
    field = differs(manifest, live)
    return Difference(manifest, field) if field else None


def _is_ours(live: Object, manifest: Object) -> bool:
    """Return True for an object that this stack applied, or `kubectl apply -k` from k8s/."""
    metadata = live["metadata"]
    labels = metadata.get("labels", {})
    owner = labels.get(OWNER_LABEL)
    if owner and owner != manifest["metadata"].get("labels", {}).get(OWNER_LABEL, owner):
        return False
    if owner and _annotated_owner(live) != _annotated_owner(manifest):
        return False
    managers = {entry.get("manager") for entry in metadata.get("managedFields", [])}
    return FIELD_MANAGER in managers or labels.get(_PART_OF) == "devstack"


def _annotated_owner(item: Object) -> str:
    return str(item["metadata"].get("annotations", {}).get(OWNER_ANNOTATION, ""))


def _require_ours(changes: Sequence[Difference], context: str) -> None:
    """Reject objects that others created: `down` would delete them with all they contain."""
    foreign = [identify(change.manifest) for change in changes if change.foreign]
    owners = sorted({change.owner for change in changes if change.owner})
    whose = f"; it belongs to the stack of {', '.join(owners)}" if owners else ""
    if foreign:
        raise DevstackError(
            f"cannot use the cluster of context {context!r} as it is",
            cause=f"{', '.join(foreign)} already exists, and this stack did not create it{whose}",
            remedy="choose another namespace with --namespace, or another cluster",
            code="OBJECT_FOREIGN",
            exit_status=ExitStatus.ENVIRONMENT,
        )


def _live(client: KubeClient, manifest: Object) -> Object | None:
    metadata = manifest["metadata"]
    return client.find(
        manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace")
    )


def _apply_in_waves(
    client: KubeClient,
    manifests: Sequence[Object],
    options: WaitOptions,
    before_workloads: Callable[[], None] | None,
) -> None:
    """Apply namespaces, CRDs and service accounts, then the rest in parallel, then workloads.

    The API takes a second to serve a new kind, and accepts other objects meanwhile;
    but a controller that starts before its kind is served retries only after 10 s.
    Objects of new kinds follow when these are served, before the controller that reads them.
    """
    first = [item for kind in _FIRST for item in manifests if item["kind"] == kind]
    last = [item for item in manifests if item["kind"] in _WORKLOADS]
    others = [item for item in manifests if item["kind"] not in (*_FIRST, *_WORKLOADS)]
    defined = {_defined_kind(item) for item in first if item["kind"] == _CRD}
    custom = [item for item in others if _kind_of(item) in defined]
    rest = [item for item in others if _kind_of(item) not in defined]
    for manifest in first:
        _apply(client, manifest, options)
    with ThreadPoolExecutor(POOL_SIZE) as pool:
        list(pool.map(lambda manifest: _apply(client, manifest, options), rest))
    for manifest in first:
        if manifest["kind"] == _CRD:
            what = f"the API to serve {identify(manifest)}"
            options.wait(partial(_established, client, manifest), what)
    for manifest in custom:
        _apply(client, manifest, options, new_kind=True)
    if before_workloads and any(_calls_api(manifest) for manifest in last):
        before_workloads()
    for manifest in last:
        _apply(client, manifest, options)


def _calls_api(workload: Object) -> bool:
    """Return True if the workload's pods have a token for the API."""
    pod = workload["spec"]["template"]["spec"]
    return pod.get("automountServiceAccountToken") is not False


def _defined_kind(definition: Object) -> tuple[str, str]:
    """Return the group and the kind that a CRD defines."""
    return definition["spec"]["group"], definition["spec"]["names"]["kind"]


def _kind_of(item: Object) -> tuple[str, str]:
    """Return an object's group and kind."""
    return item["apiVersion"].partition("/")[0], item["kind"]


def _apply(
    client: KubeClient, manifest: Object, options: WaitOptions, *, new_kind: bool = False
) -> None:
    what = f"the API to accept {identify(manifest)}"
    options.wait(partial(_try_apply, client, manifest, new_kind), what)


def _try_apply(client: KubeClient, manifest: Object, new_kind: bool) -> Observation:
    try:
        client.apply(manifest)
    except (ServerFaultError, UnreachableError) as error:
        return Waiting(str(error))
    except (ForbiddenError, ConflictError, NotFoundError) as error:
        # An established kind is served a moment later.
        if not _is_temporary(error) and not (new_kind and isinstance(error, NotFoundError)):
            raise
        return Waiting(str(error))
    return Ready()


def _is_temporary(error: ApiError) -> bool:
    """Return True for an error that ends by itself: a namespace is being deleted."""
    return "being terminated" in error.detail or "being deleted" in error.detail


def _established(client: KubeClient, manifest: Object) -> Observation:
    live = _live(client, manifest) or {}
    for condition in (live.get("status") or {}).get("conditions") or []:
        if condition["type"] == "Established" and condition["status"] == "True":
            return Ready()
        if condition["type"] == "NamesAccepted" and condition["status"] == "False":
            return Failed(condition.get("message", "its names are taken"), code="CRD_REFUSED")
    return Waiting("the API server has not established it yet")


def _delete(client: KubeClient, manifest: Object) -> bool:
    metadata = manifest["metadata"]
    try:
        return client.delete(
            manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace")
        )
    except ConflictError:
        return True


def _wait_deleted(client: KubeClient, manifests: Sequence[Object], options: WaitOptions) -> None:
    for manifest in manifests:
        options.wait(
            partial(_observe_deleted, client, manifest), f"{identify(manifest)} to be deleted"
        )


def _observe_deleted(client: KubeClient, manifest: Object) -> Observation:
    live = _live(client, manifest)
    if live is None:
        return Ready()
    conditions = (live.get("status") or {}).get("conditions") or []
    reasons = [c["message"] for c in conditions if c["status"] == "True" and c.get("message")]
    return Waiting("; ".join(reasons) or f"{identify(manifest)} is still being deleted")
