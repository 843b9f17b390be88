"""What `up` does not do to nodes: remove one with the data of a claim, or end its services."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from devstack.errors import DevstackError, ExitStatus
from devstack.kube.volumes_on_nodes import claims_by_node
from devstack.lifecycle.node_changes import nodes_to_replace
from devstack.lifecycle.settings_step import provider_of_changed_pools
from devstack.pools.settings import BASE_POOL
from devstack.providers.base import HasPools
from devstack.stack import Stack


def require_pools_changeable(stack: Stack) -> None:
    """Refuse pools that would end services, or lose the data of claims, before they are saved.

    Raises:
        DevstackError: ``NODE_TOO_SMALL`` or ``NODE_HAS_VOLUMES``.
    """
    provider = provider_of_changed_pools(stack)
    if provider is None:
        return
    try:
        stack.kube().readyz()
    except DevstackError:
        return  # of a cluster that does not run, the step that changes nodes finds out
    require_without_volumes(stack, _removed(stack, provider))


def _removed(stack: Stack, provider: HasPools) -> list[str]:
    """Return the nodes of pools that `up` will remove, or remove and create again."""
    wanted = provider.nodes_by_name(stack.largest_cluster)
    existing = provider.existing_nodes()
    surplus = [
        name
        for name, spec in existing.items()
        if spec and spec.pool != BASE_POOL and name not in wanted
    ]
    return [*surplus, *nodes_to_replace(stack.kube(), existing, wanted)]


def require_without_volumes(stack: Stack, nodes: Iterable[str]) -> None:
    """Refuse to remove nodes on which the volume of a claim is.

    Raises:
        DevstackError: ``NODE_HAS_VOLUMES``.
    """
    nodes = list(nodes)
    claims = claims_by_node(stack.kube()) if nodes else {}
    for node in nodes:
        if claims.get(node):
            raise _has_volumes(stack, node, claims[node])


def _has_volumes(stack: Stack, node: str, claims: list[str]) -> DevstackError:
    return DevstackError(
        f"cannot remove node {node!r}",
        cause=f"the data of {', '.join(claims)} is there, and would be lost",
        remedy="keep its pool as it is, or delete the claims with their data: "
        + "; ".join(_delete_commands(stack, claims)),
        code="NODE_HAS_VOLUMES",
        exit_status=ExitStatus.USAGE,
    )


def _delete_commands(stack: Stack, claims: list[str]) -> Iterator[str]:
    """Yield the command for the claims, given as ``namespace/name``, of each namespace."""
    by_namespace: dict[str, list[str]] = {}
    for claim in claims:
        namespace, _, name = claim.partition("/")
        by_namespace.setdefault(namespace, []).append(name)
    for namespace, names in by_namespace.items():
        own = namespace == stack.state.namespace
        option = "" if own else f" --namespace {namespace}"
        yield f"devstack pvc delete {' '.join(names)}{option} --name {stack.spec.name}"
