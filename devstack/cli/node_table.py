"""Nodes and pools as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from devstack.pools.instance_types import GIB

if TYPE_CHECKING:
    from devstack.kube.node_status import NodeStatus, PoolStatus, Size

_TASKS = 3
"""The number of task pods that a line names."""


def node_lines(nodes: Sequence[NodeStatus]) -> Iterator[str]:
    """Yield a table of nodes, with what runs where."""
    rows = [("NODE", "POOL", "STATE", "PODS", "CPUS FREE", "MEMORY FREE", "TASKS")]
    for node in nodes:
        rows.append(
            (
                node.name,
                node.pool or "-",
                node.state,
                str(node.pods),
                f"{max(0.0, node.free_cpu):.4g} of {node.offers.cpu:.4g}",
                f"{max(0, node.free_memory) / GIB:.4g} of {_gib(node.offers.memory)}",
                _tasks(node.tasks),
            )
        )
    yield from _aligned(rows)


def pool_lines(pools: Sequence[PoolStatus]) -> Iterator[str]:
    """Yield a table of pools, with what each node offers."""
    rows = [("POOL", "NODES", "EACH OFFERS", "INSTANCE TYPE", "ZONES", "TAINTS")]
    for pool in pools:
        count = f"{pool.nodes} of {pool.nodes + pool.addable}" if pool.addable else str(pool.nodes)
        rows.append(
            (
                pool.name or "-",
                count,
                describe_size(pool.offers),
                pool.instance_type or "-",
                ", ".join(pool.zones) or "-",
                ", ".join(pool.taints) or "-",
            )
        )
    yield from _aligned(rows)


def describe_size(size: Size) -> str:
    """Return what a node offers: "32 CPUs, 244 GiB memory, 1024 GiB disk, 4 nvidia.com/gpu"."""
    parts = [
        f"{size.cpu:.4g} CPUs",
        f"{_gib(size.memory)} memory",
        f"{_gib(size.disk)} disk",
        *(f"{count} {name}" for name, count in size.devices.items()),
    ]
    return ", ".join(parts)


def describe_machine(machine: Mapping[str, int]) -> str:
    """Return what the machine has, which all nodes share."""
    memory, limit = _gib(machine["memory"]), _gib(machine["memory_limit"])
    return (
        f"The machine really has {machine['cpus']} CPUs and {memory}, which all nodes share;"
        f" the pods of a node may use {limit}"
    )


def _gib(size: int) -> str:
    return f"{size / GIB:.4g} GiB"


def _tasks(names: Sequence[str]) -> str:
    rest = len(names) - _TASKS
    return (", ".join(names[:_TASKS]) + (f" and {rest} more" if rest > 0 else "")) or "-"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
