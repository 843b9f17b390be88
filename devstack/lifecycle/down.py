"""Taking a stack away, whole, from whatever state it is in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from devstack.errors import DevstackError
from devstack.kube.api_errors import UnreachableError
from devstack.kube.apply import delete_all
from devstack.lifecycle.backup import require_volume_backup, save_volumes
from devstack.lifecycle.port_forwards import stop_port_forwards
from devstack.owner import Owner
from devstack.progress import step
from devstack.services.base import Service
from devstack.stack import DATA_KINDS, Stack


def down(stack: Stack, *, keep_data: bool = False) -> list[str]:
    """Remove the stack; return the steps taken, empty if there was no stack of this owner.

    An interrupted `up` or `down` leaves a state that this goes on from: each
    part is removed whether the state knows of it or not.

    Args:
        stack: the stack.
        keep_data: keep what its volumes hold, its ports and credentials, for
            the next `up`.

    Raises:
        DevstackError: ``DATA_NOT_KEPT`` where that cannot be.
    """
    with stack.dir.lock():
        stack.state = stack.dir.read_or_none() or stack.state
        if not _anything(stack) or (keep_data and stack.state.phase == "retained"):
            return []
        if keep_data:
            require_volume_backup(stack)
            save_volumes(stack)
        if stack.dir.exists():
            stack.state.phase = "deleting"
            # A full disk must not keep it from being emptied.
            with suppress(DevstackError):
                stack.save()
        undo = build_undo(stack, keep_data=keep_data)
        for title, act in undo:
            with step(stack.progress, title):
                act()
        if keep_data:
            _mark_retained(stack)
        stack.dir.remove(keep_data=keep_data)
    return [title for title, _ in undo] or ["Remove the state directory"]


def _mark_retained(stack: Stack) -> None:
    """Forget the cluster, and nothing else."""
    state = stack.state
    state.phase, state.cluster, state.loaded, state.initialized_services = "retained", "", {}, []
    stack.save()


def build_undo(stack: Stack, *, keep_data: bool = False) -> list[tuple[str, Callable[[], None]]]:
    """Return what `down` does, in order, as titles and acts."""
    undo: list[tuple[str, Callable[[], None]]] = []
    if not stack.provider.maps_ports:
        undo.append(("Stop port-forwards", lambda: stop_port_forwards(stack)))
    if stack.provider.owns_cluster and foreign_owner(stack) is None:
        title = f"Delete the {stack.provider.name} cluster"
        undo.append((title, lambda: stack.provider.delete(stack.cluster)))
    elif not stack.provider.owns_cluster:
        undo += [
            (f"Delete {service.name}", partial(_delete, stack, service, keep_data))
            for service in reversed([*stack.services, *stack.disabled])
        ]
    return undo


def _anything(stack: Stack) -> bool:
    if stack.dir.path.exists():
        return True
    if stack.spec.provider == "context" or stack.provider.check(stack.cluster):
        return False
    owner = stack.provider.owner(stack.cluster)
    return owner is not None and owner.matches(stack.dir.owner)


def foreign_owner(stack: Stack) -> Owner | None:
    """Return the other owner of the cluster of this stack's name; None if there is none."""
    try:
        owner = stack.provider.owner(stack.cluster)
    except DevstackError:
        return None
    return None if owner is None or owner.matches(stack.dir.owner) else owner


def _delete(stack: Stack, service: Service, keep_data: bool) -> None:
    if not stack.dir.admin_kubeconfig.exists():
        return
    objects = stack.manifests(service)
    if keep_data:
        objects = [item for item in objects if item["kind"] not in DATA_KINDS]
    try:
        delete_all(
            stack.kube(),
            list(reversed(objects)),
            timeout=stack.spec.timeout,
            clock=stack.clock,
            note=stack.progress.note,
        )
    except UnreachableError as error:
        folder = stack.dir.path
        error.remedy = f"run it again once it answers; if it is gone for good, remove {folder}"
        raise
