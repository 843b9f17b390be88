"""Making the cluster have the objects that manifests describe, and taking them away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from devstack.kube.api_errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    ServerFaultError,
    UnreachableError,
)
from devstack.kube.client import KubeClient, Object
from devstack.kube.differences import differs
from devstack.kube.transport import POOL_SIZE
from devstack.waits import Clock, Hopeless, Observation, Ready, Waiting, wait_until

_CRD = "CustomResourceDefinition"


@dataclass(frozen=True)
class Difference:
    """An object that the cluster lacks or has otherwise.

    Attributes:
        manifest: what is wanted.
        field: the first field that differs; empty where the object is missing.
        leaving: True where an object of that name is being deleted.
    """

    manifest: Object
    field: str = ""
    leaving: bool = False

    def __str__(self) -> str:
        return f"{identify(self.manifest)} ({self.field or 'missing'})"


@dataclass(frozen=True)
class Patience:
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
        manifests: in the order to apply them: a namespace before what is in it.
        timeout: seconds for each object to be taken.
        clock: tells the time.
        note: told what is being waited for.

    Returns:
        The objects written, as `identify` names them.

    Raises:
        DevstackError: ``WAIT_TIMEOUT`` or the refusal of the API.
    """
    patience = Patience(timeout, clock, note)
    changes = differing(client, manifests)
    leaving = [change.manifest for change in changes if change.leaving]
    if leaving:
        _await_gone(client, leaving, patience)
        # A namespace takes with it what was unchanged a moment ago.
        changes = differing(client, manifests)
    for change in changes:
        _apply(client, change.manifest, patience)
    return [identify(change.manifest) for change in changes]


def delete_all(
    client: KubeClient,
    manifests: Sequence[Object],
    *,
    timeout: float,
    clock: Clock,
    note: Callable[[str], None] | None = None,
) -> list[str]:
    """Delete the objects and wait until they are gone; those already gone are passed over.

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
    deleted = [manifest for manifest in manifests if _delete(client, manifest)]
    _await_gone(client, deleted, Patience(timeout, clock, note))
    return [identify(manifest) for manifest in deleted]


def _compare(client: KubeClient, manifest: Object) -> Difference | None:
    live = _live(client, manifest)
    if live is None:
        return Difference(manifest)
    if live["metadata"].get("deletionTimestamp"):
        return Difference(manifest, "metadata.deletionTimestamp", leaving=True)
    field = differs(manifest, live)
    return Difference(manifest, field) if field else None


def _live(client: KubeClient, manifest: Object) -> Object | None:
    metadata = manifest["metadata"]
    return client.find(
        manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace")
    )


def _apply(client: KubeClient, manifest: Object, patience: Patience) -> None:
    name = identify(manifest)
    patience.wait(partial(_try_apply, client, manifest), f"the API to take {name}")
    if manifest["kind"] == _CRD:
        patience.wait(partial(_established, client, manifest), f"the API to serve {name}")


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
            return Hopeless(condition.get("message", "its names are taken"), code="CRD_REFUSED")
    return Waiting("the API server has not established it yet")


def _delete(client: KubeClient, manifest: Object) -> bool:
    metadata = manifest["metadata"]
    try:
        return client.delete(
            manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace")
        )
    except ConflictError:
        return True


def _await_gone(client: KubeClient, manifests: Sequence[Object], patience: Patience) -> None:
    for manifest in manifests:
        patience.wait(partial(_gone, client, manifest), f"{identify(manifest)} to be deleted")


def _gone(client: KubeClient, manifest: Object) -> Observation:
    live = _live(client, manifest)
    if live is None:
        return Ready()
    conditions = (live.get("status") or {}).get("conditions") or []
    why = [c["message"] for c in conditions if c["status"] == "True" and c.get("message")]
    return Waiting("; ".join(why) or f"{identify(manifest)} is still being deleted")
