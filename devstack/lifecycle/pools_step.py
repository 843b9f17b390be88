"""The step of `up` that gives the nodes their labels, taints and devices."""

from __future__ import annotations

from devstack.errors import DevstackError, ExitStatus
from devstack.kube.pool_nodes import ensure_attributes, lacks_attributes
from devstack.lifecycle.step import Step
from devstack.pools.nodes import NodeSpec
from devstack.providers.base import HasPools
from devstack.stack import Stack


def pools_steps(stack: Stack) -> list[Step]:
    """Return the step for the nodes; empty if the provider's nodes are as they are.

    Raises:
        DevstackError: ``POOLS_UNSUPPORTED`` when the step runs, if there are pools.
    """
    if not isinstance(stack.provider, HasPools) and not stack.spec.pool:
        return []
    return [
        Step(
            "pools",
            "Give the nodes their labels, taints and devices",
            is_done=lambda: _is_done(stack),
            ensure=lambda: ensure_attributes(stack.kube(), _nodes(stack)),
            commands=lambda: [f"label {name}" for name in _nodes(stack)],
            needs_api=True,
        )
    ]


def _nodes(stack: Stack) -> dict[str, NodeSpec]:
    provider = stack.provider
    if not isinstance(provider, HasPools):
        raise DevstackError(
            f"provider {provider.name!r} has no node pools",
            cause="its nodes are as its cluster has them",
            remedy="leave out [[pool]] and --pool, or use --provider kind",
            code="POOLS_UNSUPPORTED",
            exit_status=ExitStatus.USAGE,
        )
    return provider.nodes_by_name(stack.cluster)


def _is_done(stack: Stack) -> bool:
    kube = stack.kube()
    return not any(
        lacks_attributes(kube.get("v1", "Node", name), spec) for name, spec in _nodes(stack).items()
    )
