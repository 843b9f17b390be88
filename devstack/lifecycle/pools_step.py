"""The step of `up` that creates, resizes and removes nodes, and labels them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from functools import partial

from devstack.errors import DevstackError, ExitStatus
from devstack.kube.api_errors import NotFoundError
from devstack.kube.client import Object
from devstack.kube.drain import drain, evictable_pods
from devstack.kube.interruption import was_interrupted, withdraw_past_interruptions
from devstack.kube.node_state import node_lacks
from devstack.kube.offers import pool_of
from devstack.kube.pool_nodes import ensure_attributes, lacks_attributes
from devstack.kube.scale_down import (
    SETTLE_SECONDS,
    begin_removal,
    cancel_removal,
    is_being_removed,
)
from devstack.lifecycle.autoscaler import stop_autoscaler
from devstack.lifecycle.new_nodes import as_starting
from devstack.lifecycle.node_changes import nodes_to_replace
from devstack.lifecycle.registries_step import forget_registries
from devstack.lifecycle.step import Step
from devstack.lifecycle.volume_loss import require_without_volumes
from devstack.parallel import in_parallel
from devstack.pools.nodes import NodeSpec
from devstack.pools.settings import BASE_POOL
from devstack.providers.base import HasPools
from devstack.stack import Stack


def require_pools_supported(stack: Stack) -> None:
    """Refuse pools if the provider's nodes are as they are.

    Raises:
        DevstackError: ``POOLS_UNSUPPORTED``.
    """
    if stack.spec.pool and not isinstance(stack.provider, HasPools):
        raise DevstackError(
            f"provider {stack.provider.name!r} has no node pools",
            cause="its nodes are as its cluster has them",
            remedy="leave out [[pool]] and --pool, or use --provider kind",
            code="POOLS_UNSUPPORTED",
            exit_status=ExitStatus.USAGE,
        )


def pools_steps(stack: Stack) -> list[Step]:
    """Return the step for the nodes; empty if the provider's nodes are as they are."""
    provider = stack.provider
    if not isinstance(provider, HasPools):
        return []
    return [
        Step(
            "pools",
            "Give the nodes their sizes, labels, taints and devices",
            is_done=lambda: _is_done(stack, provider),
            ensure=lambda: _ensure(stack, provider),
            commands=lambda: [f"label {name}" for name in provider.nodes_by_name(stack.cluster)],
            needs_api=True,
        )
    ]


def _is_done(stack: Stack, provider: HasPools) -> bool:
    # A container that an interrupted `up` left behind is not in the API.
    if stack.state.phase != "up":
        return False
    found = _nodes(stack)
    wanted = _wanted(stack, provider, found)
    return not _surplus(found, wanted) and not any(
        node_lacks(found.get(name), spec)
        or lacks_attributes(found[name], spec)
        or was_interrupted(found[name])
        or is_being_removed(found[name])
        for name, spec in wanted.items()
    )


def _ensure(stack: Stack, provider: HasPools) -> None:
    # It would add and remove nodes at the same time; a later step starts it again.
    stop_autoscaler(stack)
    existing = provider.existing_nodes()
    wanted = _wanted(stack, provider, existing)
    replaced = nodes_to_replace(stack.kube(), existing, wanted)
    surplus = [*{**_surplus(_nodes(stack), wanted), **_left_behind(existing, wanted)}]
    require_without_volumes(stack, [*replaced, *surplus])
    if replaced or not wanted.keys() <= existing.keys():
        _forget_what_nodes_have(stack)
    used = _take_out_of_use(stack, [*surplus, *replaced])
    kept = {name: spec for name, spec in wanted.items() if name not in replaced}
    _at_once(
        partial(_make, stack, provider, kept),
        *(partial(_replace, stack, provider, name, wanted[name]) for name in replaced),
        *(partial(_remove, stack, provider, name) for name in surplus if name not in used),
    )
    # Only now, when pods that are evicted find the new nodes.
    late = [name for name in surplus if name in used]
    _at_once(*(partial(_remove, stack, provider, name) for name in late))


def _at_once(*acts: Callable[[], None]) -> None:
    in_parallel(lambda act: act(), acts)


def _make(stack: Stack, provider: HasPools, specs: Mapping[str, NodeSpec]) -> None:
    """Create nodes, or make existing ones what they are to be."""
    # Pods are placed on new nodes once a later step has given them images.
    provider.ensure_nodes(stack.cluster, as_starting(specs))
    ensure_attributes(stack.kube(), specs)
    _cancel_removals(stack, specs)
    withdraw_past_interruptions(stack.kube(), specs)


def _replace(stack: Stack, provider: HasPools, name: str, spec: NodeSpec) -> None:
    _remove(stack, provider, name)
    _make(stack, provider, {name: spec})


def _take_out_of_use(stack: Stack, names: Iterable[str]) -> list[str]:
    """Let no further pods be placed on nodes; return those that have pods to be evicted."""
    kube = stack.kube()
    marked = []
    for name in names:
        # One that was created and has not joined is not in the API.
        with suppress(NotFoundError):
            begin_removal(kube, name)
            marked.append(name)
    if marked:
        # The scheduler may be placing a pod at this moment.
        stack.clock.sleep(SETTLE_SECONDS)
    return [name for name in marked if evictable_pods(kube, name)]


def _cancel_removals(stack: Stack, wanted: Container[str]) -> None:
    """Keep the nodes that the autoscaler, or an `up` that was stopped, was about to remove."""
    for name, node in _nodes(stack).items():
        if name in wanted and is_being_removed(node):
            cancel_removal(stack.kube(), name)


def _wanted(stack: Stack, provider: HasPools, existing: Container[str]) -> dict[str, NodeSpec]:
    """Return what the nodes are to be, those included that pools have added because of pods."""
    always = provider.nodes_by_name(stack.cluster)
    at_most = provider.nodes_by_name(stack.largest_cluster)
    return {name: at_most[name] for name in at_most if name in always or name in existing}


def _nodes(stack: Stack) -> dict[str, Object]:
    return {each["metadata"]["name"]: each for each in stack.kube().list_objects("v1", "Node")}


def _surplus(found: Mapping[str, Object], wanted: Mapping[str, NodeSpec]) -> dict[str, Object]:
    """Return the nodes of pools that are not wanted any more."""
    return {
        name: node
        for name, node in found.items()
        if pool_of(node) not in ("", BASE_POOL) and name not in wanted
    }


def _left_behind(
    existing: Mapping[str, NodeSpec | None], wanted: Mapping[str, NodeSpec]
) -> dict[str, NodeSpec]:
    return {
        name: spec
        for name, spec in existing.items()
        if spec and spec.pool != BASE_POOL and name not in wanted
    }


def _remove(stack: Stack, provider: HasPools, name: str) -> None:
    """Drain a node and remove it."""
    kube = stack.kube()
    if kube.find("v1", "Node", name):
        stack.progress.note(f"draining {name}")
        drain(
            kube,
            name,
            timeout=stack.spec.timeout,
            clock=stack.clock,
            note=stack.progress.note,
            permanently=True,
        )
        # A pod may have got a volume just before its node was taken out of use.
        require_without_volumes(stack, [name])
    provider.remove_node(name)


def _forget_what_nodes_have(stack: Stack) -> None:
    """Let the next steps load images into new nodes, and configure the registry there."""
    stack.state.loaded = {}
    forget_registries(stack)
    stack.save()
