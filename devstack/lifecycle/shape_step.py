"""The step of `up` that publishes the machine's real size, and the nodes that pools may add."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from devstack.kube.client import Object
from devstack.kube.pool_nodes import build_node
from devstack.kube.shape import NAME, NAMESPACE, Shape, build_shape
from devstack.lifecycle.settings_step import pool_file
from devstack.lifecycle.step import Step
from devstack.pools.nodes import NodeSpec
from devstack.pools.settings import PoolSettings
from devstack.pools.toml_tables import pool_table
from devstack.providers.base import HasPools
from devstack.stack import Stack


def shape_steps(stack: Stack) -> list[Step]:
    """Return the step; empty if the provider's nodes are of their machine's size."""
    provider = stack.provider
    if not isinstance(provider, HasPools):
        return []
    return [
        Step(
            "shape",
            "Publish the machine's size",
            is_done=lambda: _is_done(stack, provider),
            ensure=lambda: _publish(stack, provider),
            needs_api=True,
        )
    ]


def addable_specs(stack: Stack, provider: HasPools) -> dict[str, NodeSpec]:
    """Return the nodes that pools add when pods need them, by name."""
    always = provider.nodes_by_name(stack.cluster)
    at_most = provider.nodes_by_name(stack.largest_cluster)
    return {name: spec for name, spec in at_most.items() if name not in always}


def addable_nodes(stack: Stack, provider: HasPools) -> dict[str, Object]:
    """Return the nodes that pools add when pods need them, as the API will have them."""
    return {name: build_node(name, spec) for name, spec in addable_specs(stack, provider).items()}


def _wanted(stack: Stack, provider: HasPools) -> Object:
    real = provider.real_size()
    addable = addable_nodes(stack, provider)
    file, spec = Path(pool_file(stack)), stack.spec
    return build_shape(
        Shape(
            True,
            real.cpus,
            real.memory,
            addable,
            real.memory_limit,
            "" if file.name in ("", "devstack.toml") else str(file),
            () if file.name else [pool_table(_ordered(pool)) for pool in spec.pool],
        )
    )


def _ordered(pool: PoolSettings) -> PoolSettings:
    """Return a pool as its settings are documented: a file, and the state, have another order."""
    order = list(PoolSettings.__annotations__)
    ordered: Any = {name: pool[name] for name in sorted(pool, key=order.index)}  # type: ignore[literal-required]
    for name in ("gpu", "labels", "extended"):
        if name in ordered:
            ordered[name] = dict(sorted(ordered[name].items()))
    return cast("PoolSettings", ordered)


def _is_done(stack: Stack, provider: HasPools) -> bool:
    found = stack.kube().find("v1", "ConfigMap", NAME, NAMESPACE)
    return found is not None and found.get("data") == _wanted(stack, provider)["data"]


def _publish(stack: Stack, provider: HasPools) -> None:
    stack.kube().apply(_wanted(stack, provider))
