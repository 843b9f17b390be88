"""No node is removed by `up` as long as it has the data of a claim."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from devstack.errors import DevstackError, ExitStatus
from devstack.kube.volumes_on_nodes import claims_by_node
from devstack.lifecycle.settings_step import same_pools
from devstack.pools.settings import BASE_POOL
from devstack.providers.base import HasPools
from devstack.stack import Stack


def require_volumes_kept(stack: Stack) -> None:
    """Refuse pools without the nodes on which volumes are, or with another disk, beforehand.

    Raises:
        DevstackError: ``NODE_HAS_VOLUMES``.
    """
    provider = stack.provider
    unchanged = stack.state.phase != "up" or same_pools(stack)
    if unchanged or not isinstance(provider, HasPools):
        return
    removed: list[str] = []
    # Of a cluster that does not run, the step that removes nodes finds out.
    with suppress(DevstackError):
        stack.kube().readyz()
        removed = _removed(stack, provider)
    require_without_volumes(stack, removed)


def _removed(stack: Stack, provider: HasPools) -> list[str]:
    """Return the nodes of pools that `up` will remove, or remove and create again."""
    wanted = provider.nodes_by_name(stack.largest_cluster)
    existing = provider.existing_nodes()
    pooled = {name: spec for name, spec in existing.items() if spec and spec.pool != BASE_POOL}
    return [
        name
        for name, spec in pooled.items()
        if name not in wanted or wanted[name].disk != spec.disk
    ]


def require_without_volumes(stack: Stack, nodes: Iterable[str]) -> None:
    """Refuse to remove nodes on which the volume of a claim is.

    Raises:
        DevstackError: ``NODE_HAS_VOLUMES``.
    """
    nodes = list(nodes)
    claims = claims_by_node(stack.kube()) if nodes else {}
    for node in nodes:
        if claims.get(node):
            raise _has_volumes(stack.spec.name, node, claims[node])


def _has_volumes(stack: str, node: str, claims: list[str]) -> DevstackError:
    names = " ".join(claim.partition("/")[2] for claim in claims)
    return DevstackError(
        f"cannot remove node {node!r}",
        cause=f"the data of {', '.join(claims)} is there, and would be lost",
        remedy="keep its pool as it is, or delete the claims with their data: "
        f"devstack pvc delete {names} --name {stack}",
        code="NODE_HAS_VOLUMES",
        exit_status=ExitStatus.USAGE,
    )
