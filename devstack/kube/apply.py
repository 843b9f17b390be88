"""Making the cluster have the objects that manifests describe, and taking them away."""

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
# The controllers delete an account's token at once where they do not find the account.
_FIRST = ("Namespace", _CRD, "ServiceAccount")
_WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet", "Job")
_PART_OF = "app.kubernetes.io/part-of"


@dataclass(frozen=True)
class Difference:
    """An object that the cluster lacks or has otherwise.

    Attributes:
        manifest: what is wanted.
        field: the first field that differs; empty where the object is missing.
        leaving: True where an object of that name is being deleted.
        foreign: True where somebody else made an object of that name.
    """

    manifest: Object
    field: str = ""
    leaving: bool = False
    foreign: bool = False

    def __str__(self) -> str:
        why = "somebody else's" if self.foreign else self.field or "missing"
        return f"{identify(self.manifest)} ({why})"


@dataclass(frozen=True)
class WaitOptions:
    """How long to wait for the API to do as asked.

    Attributes:
        timeout: seconds for each object.
        clock: tells the time.
        note: told what is being waited for.
    """

    timeout: float
    clock: Clock
    note: Callable[[str], None] | None = None

    def wait(self, observe: Callable[[], Observation], what: str) -> None:
        """Wait until ``observe`` returns Ready; see `devstack.waits.wait_until`."""
        wait_until(observe, what=what, timeout=self.timeout, clock=self.clock, note=self.note)


def identify(manifest: Object) -> str:
    """Return an object's kind and name as a person writes it."""
    metadata = manifest["metadata"]
    where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{manifest['kind']} {where}{metadata['name']}"


def differing(client: KubeClient, manifests: Sequence[Object]) -> list[Difference]:
    """Return what `apply_all` would have to write, in order; reads only."""
    with ThreadPoolExecutor(POOL_SIZE) as pool:
        compared = pool.map(partial(_compare, client), manifests)
        return [difference for difference in compared if difference]


def any_present(client: KubeClient, manifests: Sequence[Object]) -> bool:
    """Return True where the cluster has one of the objects, and devstack made it."""
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
) -> list[str]:
    """Apply the objects that are missing or differ, and no others.

    Args:
        client: the API.
        manifests: in any order; namespaces and new kinds go first, workloads last.
        timeout: seconds for each object to be taken.
        clock: tells the time.
        note: told what is being waited for.

    Returns:
        The objects written, as `identify` names them.

    Raises:
        DevstackError: ``OBJECT_FOREIGN`` before anything is written,
            ``WAIT_TIMEOUT``, or the refusal of the API.
    """
    patience = WaitOptions(timeout, clock, note)
    changes = differing(client, manifests)
    _require_ours(changes, client.context)
    leaving = [change.manifest for change in changes if change.leaving]
    if leaving:
        _await_gone(client, leaving, patience)
        # A namespace takes with it what was unchanged a moment ago.
        changes = differing(client, manifests)
    _apply_in_waves(client, [change.manifest for change in changes], patience)
    return [identify(change.manifest) for change in changes]


def delete_all(
    client: KubeClient,
    manifests: Sequence[Object],
    *,
    timeout: float,
    clock: Clock,
    note: Callable[[str], None] | None = None,
) -> list[str]:
    """Delete the objects that devstack made, and wait until they are gone.

    Args:
        client: the API.
        manifests: in the order to delete them.
        timeout: seconds for each object to go.
        clock: tells the time.
        note: told what is being waited for.

    Returns:
        The objects that were there, as `identify` names them.

    Raises:
        DevstackError: ``WAIT_TIMEOUT`` or the refusal of the API.
    """
    found = [(item, _live(client, item)) for item in manifests]
    ours = [item for item, live in found if live and _is_ours(live, item)]
    deleted = [manifest for manifest in ours if _delete(client, manifest)]
    _await_gone(client, deleted, WaitOptions(timeout, clock, note))
    return [identify(manifest) for manifest in deleted]


def _compare(client: KubeClient, manifest: Object) -> Difference | None:
    live = _live(client, manifest)
    if live is None:
        return Difference(manifest)
    if not _is_ours(live, manifest):
        return Difference(manifest, foreign=True)
    if live["metadata"].get("deletionTimestamp"):
        return Difference(manifest, "metadata.deletionTimestamp", leaving=True)
    field = differs(manifest, live)
    return Difference(manifest, field) if field else None


def _is_ours(live: Object, manifest: Object) -> bool:
    """Return True for what this stack applied, or `kubectl apply -k` out of k8s/."""
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
    """Refuse to take over what others made: `down` would delete it, and all in it."""
    foreign = [identify(change.manifest) for change in changes if change.foreign]
    if foreign:
        raise DevstackError(
            f"cannot use the cluster of context {context!r} as it is",
            cause=f"{', '.join(foreign)} is there already, and this stack did not make it",
            remedy="choose another namespace with --namespace, or another cluster",
            code="OBJECT_FOREIGN",
            exit_status=ExitStatus.ENVIRONMENT,
        )


def _live(client: KubeClient, manifest: Object) -> Object | None:
    metadata = manifest["metadata"]
    return client.find(
        manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace")
    )


def _apply_in_waves(client: KubeClient, manifests: Sequence[Object], patience: WaitOptions) -> None:
    """Apply what others need, then the rest side by side, then what runs with it all.

    The API takes a second to serve a new kind; meanwhile it takes other objects,
    but a controller that starts before its kind is there tries again in 10 s only.
    """
    first = [item for kind in _FIRST for item in manifests if item["kind"] == kind]
    last = [item for item in manifests if item["kind"] in _WORKLOADS]
    rest = [item for item in manifests if item["kind"] not in (*_FIRST, *_WORKLOADS)]
    for manifest in first:
        _apply(client, manifest, patience)
    with ThreadPoolExecutor(POOL_SIZE) as pool:
        list(pool.map(lambda manifest: _apply(client, manifest, patience), rest))
    for manifest in first:
        if manifest["kind"] == _CRD:
            what = f"the API to serve {identify(manifest)}"
            patience.wait(partial(_established, client, manifest), what)
    for manifest in last:
        _apply(client, manifest, patience)


def _apply(client: KubeClient, manifest: Object, patience: WaitOptions) -> None:
    what = f"the API to take {identify(manifest)}"
    patience.wait(partial(_try_apply, client, manifest), what)


def _try_apply(client: KubeClient, manifest: Object) -> Observation:
    try:
        client.apply(manifest)
    except (ServerFaultError, UnreachableError) as error:
        return Waiting(str(error))
    except (ForbiddenError, ConflictError, NotFoundError) as error:
        if not _passes(error):
            raise
        return Waiting(str(error))
    return Ready()


def _passes(error: ApiError) -> bool:
    """True for refusals that end by themselves: a namespace that goes, or is not there yet."""
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


def _await_gone(client: KubeClient, manifests: Sequence[Object], patience: WaitOptions) -> None:
    for manifest in manifests:
        patience.wait(partial(_gone, client, manifest), f"{identify(manifest)} to be deleted")


def _gone(client: KubeClient, manifest: Object) -> Observation:
    live = _live(client, manifest)
    if live is None:
        return Ready()
    conditions = (live.get("status") or {}).get("conditions") or []
    why = [c["message"] for c in conditions if c["status"] == "True" and c.get("message")]
    return Waiting("; ".join(why) or f"{identify(manifest)} is still being deleted")
