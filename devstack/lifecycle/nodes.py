"""Take nodes of a running stack out of use, and back: cordon, drain, kill, restore."""

from __future__ import annotations

from devstack.errors import DevstackError, ExitStatus
from devstack.kube.client import Object
from devstack.kube.drain import cordon, drain, full_name, node_unknown
from devstack.kube.interruption import withdraw_interruption
from devstack.kube.offers import pool_of
from devstack.lifecycle.added_images import supply_added_images
from devstack.pools.settings import BASE_POOL
from devstack.providers.base import HasPools
from devstack.stack import Stack, require_up

_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def cordon_node(stack: Stack, name: str, *, undo: bool = False) -> bool:
    """Let no further pods be placed on a node, or let them again; return True if that is new."""
    _require_node(stack, name)
    return cordon(stack.kube(), name, unschedulable=not undo)


def drain_node(stack: Stack, name: str, timeout: float) -> list[str]:
    """Cordon a node and evict its pods; return their names.

    Raises:
        DevstackError: ``WAIT_TIMEOUT`` with the pods that are left.
    """
    require_worker(stack, name, "drain")
    return drain(stack.kube(), name, timeout=timeout, clock=stack.clock, note=stack.progress.note)


def kill_node(stack: Stack, name: str) -> list[str]:
    """Stop a node without warning; return the names of the pods that were on it."""
    require_worker(stack, name, "kill")
    pods = stack.kube().list_objects("v1", "Pod", fields=f"spec.nodeName={name}")
    require_pools(stack).kill_node(name)
    active = [pod for pod in pods if pod.get("status", {}).get("phase") == "Running"]
    return sorted(map(full_name, active))


def restore_node(stack: Stack, name: str) -> None:
    """Start a node that was stopped, and let pods be placed on it."""
    provider = require_pools(stack)
    known = provider.existing_nodes()
    if name not in known:
        raise node_unknown(name, sorted(known))
    provider.restore_node(name)
    # It was passed over when images were added meanwhile.
    supply_added_images(stack)
    withdraw_interruption(stack.kube(), name)


def require_worker(stack: Stack, name: str, verb: str) -> Object:
    """Return a node that may be taken away: neither the control plane nor a worker of `--nodes`.

    Raises:
        DevstackError: ``NODE_UNKNOWN``, ``NODE_CONTROL_PLANE``, ``POOLS_UNSUPPORTED`` or
            ``STACK_DOWN``.
    """
    node = _require_node(stack, name)
    is_control_plane = _CONTROL_PLANE in (node["metadata"].get("labels") or {})
    if is_control_plane or pool_of(node) == BASE_POOL:
        what = "the control plane" if is_control_plane else "one of the nodes of --nodes"
        raise DevstackError(
            f"cannot {verb} node {name!r}",
            cause=f"it is {what}, where the stack's own services run, some with volumes",
            remedy="name a node of a pool: devstack node list; `devstack down` removes all",
            code="NODE_CONTROL_PLANE",
            exit_status=ExitStatus.USAGE,
        )
    return node


def _require_node(stack: Stack, name: str) -> Object:
    require_pools(stack)
    found = stack.kube().find("v1", "Node", name) if name else None
    if found is None:
        nodes = stack.kube().list_objects("v1", "Node")
        raise node_unknown(name, sorted(node["metadata"]["name"] for node in nodes))
    return found


def require_pools(stack: Stack) -> HasPools:
    """Return the provider of a stack that is up and whose nodes may be changed.

    Raises:
        DevstackError: ``POOLS_UNSUPPORTED`` or ``STACK_DOWN``.
    """
    require_up(stack)
    provider = stack.provider
    if not isinstance(provider, HasPools):
        raise DevstackError(
            f"the nodes of provider {provider.name!r} are not devstack's to change",
            cause="its cluster exists without this stack, and others may use it",
            remedy="use kubectl with your own kubeconfig, or a stack of --provider kind",
            code="POOLS_UNSUPPORTED",
            exit_status=ExitStatus.USAGE,
        )
    return provider
