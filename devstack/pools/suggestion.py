"""The lines of devstack.toml that would give the cluster a node for what a pod requests."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from devstack.pools.instance_types import INSTANCE_TYPES
from devstack.pools.nodes import DEVICES, INSTANCE_TYPE_LABEL, ZONE_LABEL, NodeSpec
from devstack.pools.settings import NODES_MAX

GIB = 1024**3
_CPUS_MAX = 1024

OVERHEAD = {"cpu": Decimal("0.5"), "memory": Decimal(GIB), "ephemeral-storage": Decimal(GIB)}
"""What the pods that run on every node may take of a new one."""

_FIXED_LABELS = frozenset(
    {"kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/arch"}
)
"""Labels whose values the kubelet decides."""

_NOT_A_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Wanted:
    """What the pods of a task, or of a gang, need of each of their nodes.

    Attributes:
        requests: the amount of each resource.
        labels: the labels that each node has to have.
        count: how many such nodes.
    """

    requests: Mapping[str, Decimal]
    labels: Mapping[str, str] = field(default_factory=dict)
    count: int = 1


def suggest_pool(wanted: Wanted, names: Collection[str] = ()) -> list[str]:
    """Return the table of a new pool whose nodes offer what is wanted.

    Args:
        wanted: what the nodes need to offer.
        names: the names of the pools that exist.

    Returns:
        The lines of the table, of TOML; empty if no pool can offer it.
    """
    sizes = suggest_sizes(wanted.requests)
    if sizes is None or wanted.count > NODES_MAX or _FIXED_LABELS & wanted.labels.keys():
        return []
    labels = dict(wanted.labels)
    kind, zone = labels.pop(INSTANCE_TYPE_LABEL, ""), labels.pop(ZONE_LABEL, "")
    lines = ["[[pool]]", f'name = "{_name(kind, sizes, names)}"']
    if wanted.count > 1:
        lines.append(f"count = {wanted.count}")
    if kind:
        lines.append(f'instance_type = "{kind}"')
    if zone:
        lines.append(f'zones = ["{zone}"]')
    lines += [line for line in sizes if not _has(kind, line, wanted.requests)]
    if labels:
        pairs = ", ".join(f'"{key}" = "{value}"' for key, value in sorted(labels.items()))
        lines.append(f"labels = {{ {pairs} }}")
    return lines


def suggest_sizes(requests: Mapping[str, Decimal]) -> list[str] | None:
    """Return the lines of a pool whose nodes offer at least ``requests``; None if none can."""
    lines: list[str] = []
    extended: dict[str, int] = {}
    for name, amount in sorted(requests.items()):
        needed = amount + OVERHEAD.get(name, Decimal(0))
        if name == "cpu" and needed <= _CPUS_MAX:
            lines.append(f"cpu = {_ceil(needed)}")
        elif name == "memory":
            lines.append(f'memory = "{_ceil(needed / GIB)}Gi"')
        elif name == "ephemeral-storage":
            lines.append(f'disk = "{_ceil(needed / GIB)}Gi"')
        elif "/" in name:
            extended[name] = _ceil(needed)
        elif name != "pods":
            return None
    return lines + _device_lines(extended)


def _device_lines(extended: Mapping[str, int]) -> list[str]:
    vendors = {resource: vendor for vendor, resource in DEVICES.items()}
    gpus = {vendors[name]: count for name, count in extended.items() if name in vendors and count}
    if len(gpus) == 1:
        ((vendor, count),) = gpus.items()
        rest = {name: n for name, n in extended.items() if vendors.get(name) != vendor and n}
        shown = f'vendor = "{vendor}", count' if vendor != "nvidia" else "count"
        return [f"gpu = {{ {shown} = {count} }}", *_extended_lines(rest)]
    return _extended_lines({name: count for name, count in extended.items() if count})


def _extended_lines(extended: Mapping[str, int]) -> list[str]:
    pairs = ", ".join(f'"{name}" = {count}' for name, count in sorted(extended.items()))
    return [f"extended = {{ {pairs} }}"] if pairs else []


def _has(kind: str, line: str, requests: Mapping[str, Decimal]) -> bool:
    """Return True if the pool offers what a line would set without it."""
    if line.startswith("disk"):
        return (
            requests["ephemeral-storage"] + OVERHEAD["ephemeral-storage"] <= NodeSpec("", 0, 0).disk
        )
    known = INSTANCE_TYPES.get(kind)
    if known is None:
        return False
    if line.startswith("cpu"):
        return requests["cpu"] + OVERHEAD["cpu"] <= known.cpu
    if line.startswith("memory"):
        return requests["memory"] + OVERHEAD["memory"] <= known.memory
    return line.startswith("gpu") and requests.get(known.device, Decimal(0)) <= known.devices > 0


def _name(kind: str, sizes: list[str], names: Collection[str]) -> str:
    """Return a name that no pool has: by the instance type, or what is special about the nodes."""
    devices = any(line.startswith(("gpu", "extended")) for line in sizes)
    base = _NOT_A_NAME.sub("-", kind.lower()).strip("-")[:26] or ("gpu" if devices else "large")
    numbers = ("", *(f"-{number}" for number in range(2, NODES_MAX + 2)))
    return next((base + number for number in numbers if base + number not in names), base)


def _ceil(amount: Decimal) -> int:
    return int(amount.to_integral_value(rounding="ROUND_CEILING"))
