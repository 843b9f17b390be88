"""`devstack down`: remove the stack, in any state."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from devstack.errors import DevstackError
from devstack.lifecycle.autoscaler import stop_autoscaler
from devstack.lifecycle.backup import require_volume_backup, save_volumes
from devstack.lifecycle.plan import build_plan
from devstack.lifecycle.port_forwards import stop_port_forwards
from devstack.owner import Owner
from devstack.progress import step
from devstack.stack import Stack


def down(stack: Stack, *, keep_data: bool = False) -> list[str]:
    """Remove the stack; return the steps taken, empty if there was no stack of this owner.

    After an interrupted `up` or `down` everything is removed, even if the state
    does not mention it.

    Args:
        stack: the stack.
        keep_data: keep the volumes' contents, the ports and the credentials for
            the next `up`.

    Raises:
        DevstackError: ``DATA_NOT_KEPT`` if the provider cannot keep data.
    """
    with stack.dir.lock():
        stack.state = stack.dir.read_or_none() or stack.state
        if not _exists(stack) or (keep_data and stack.state.phase == "retained"):
            return []
        if keep_data:
            require_volume_backup(stack)
            # It could remove a node whose volumes are being copied.
            stop_autoscaler(stack)
            save_volumes(stack)
        if stack.dir.exists():
            stack.state.phase = "deleting"
            # `down` must also work on a full disk: it frees space.
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


def build_undo(stack: Stack, *, keep_data: bool = False) -> list[tuple[str, Callable[[], None]]]:
    """Return the titles and actions of `down`: what undoes the steps of `up`, in reverse."""
    undo: list[tuple[str, Callable[[], None]]] = []
    if not stack.maps_ports or set(stack.state.ports) - set(stack.state.mapped_ports):
        undo.append(("Stop port-forwards", lambda: stop_port_forwards(stack)))
    if stack.provider.owns_cluster and foreign_owner(stack) is not None:
        return undo
    steps = [each.undo for each in reversed(build_plan(stack)) if each.undo]
    return undo + [(each.title, partial(each.run, keep_data)) for each in steps]


def foreign_owner(stack: Stack) -> Owner | None:
    """Return the other owner of the cluster of this stack's name; None if there is none."""
    try:
        owner = stack.provider.owner(stack.cluster)
    except DevstackError:
        return None
    return None if owner is None or owner.matches(stack.dir.owner) else owner


def _mark_retained(stack: Stack) -> None:
    """Clear the cluster's state; keep ports and credentials."""
    state = stack.state
    state.phase, state.cluster, state.loaded, state.initialized_services = "retained", "", {}, []
    stack.save()


def _exists(stack: Stack) -> bool:
    """Return True if the stack has a directory, or a cluster although its directory was lost."""
    if stack.dir.path.exists():
        return True
    if not stack.provider.owns_cluster or stack.provider.check(stack.cluster):
        return False
    owner = stack.provider.owner(stack.cluster)
    return owner is not None and owner.matches(stack.dir.owner)
