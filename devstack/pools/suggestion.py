"""The lines of devstack.toml that would give the cluster a node for what a pod requests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from devstack.pools.instance_types import GIB, INSTANCE_TYPES
from devstack.pools.mistakes import pool_mistakes
from devstack.pools.naming import make_pool_name
from devstack.pools.nodes import DEVICES, INSTANCE_TYPE_LABEL, POOL_LABEL, ZONE_LABEL, NodeSpec
from devstack.pools.settings import BASE_POOL, NODES_MAX

OVERHEAD = {"cpu": Decimal("0.5"), "memory": Decimal(GIB), "ephemeral-storage": Decimal(GIB)}
"""What the pods that run on every node may take of a new one."""

_FIXED_LABELS = frozenset(
    {"kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/arch"}
)
"""Labels whose values the kubelet decides."""


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


def suggest_pool(wanted: Wanted, names: Collection[str] = (), nodes: int = 0) -> list[str]:
    """Return the table of a new pool whose nodes offer what is wanted.

    Args:
        wanted: what the nodes need to offer.
        names: the names of the pools that exist.
        nodes: the number of their nodes.

    Returns:
        The lines of the table, of TOML; empty if no pool can offer it.
    """
    sizes = suggest_sizes(wanted.requests)
    labels = dict(wanted.labels)
    if sizes is None or _FIXED_LABELS & labels.keys():
        return []
    kind, zone = labels.pop(INSTANCE_TYPE_LABEL, ""), labels.pop(ZONE_LABEL, "")
    name = labels.pop(POOL_LABEL, "") or _name(kind, sizes, names)
    lines = ["[[pool]]", f'name = "{name}"']
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
    fits = name not in {*names, BASE_POOL} and wanted.count <= NODES_MAX - nodes
    return lines if fits and _is_valid(lines[1:]) else []


def suggest_sizes(
    requests: Mapping[str, Decimal], offered: Collection[str] = ()
) -> list[str] | None:
    """Return the lines of a pool whose nodes offer at least ``requests``; None if none can.

    Args:
        requests: the amount of each resource.
        offered: the resources that the pool's nodes offer already, which they are to keep.
    """
    lines: list[str] = []
    extended: dict[str, int] = {}
    for name, amount in sorted(requests.items()):
        needed = amount + OVERHEAD.get(name, Decimal(0))
        if name == "cpu":
            lines.append(f"cpu = {_ceil(needed)}")
        elif name == "memory":
            lines.append(f'memory = "{_ceil(needed / GIB)}Gi"')
        elif name == "ephemeral-storage":
            lines.append(f'disk = "{_ceil(needed / GIB)}Gi"')
        elif "/" in name:
            extended[name] = _ceil(needed)
        elif name != "pods":
            return None
    lines += _device_lines(extended, offered)
    return lines if _is_valid(['name = "x"', *lines]) else None


def _is_valid(lines: Iterable[str]) -> bool:
    """Return True if devstack.toml accepts a table of these lines."""
    from devstack.toml import tomllib

    try:
        return not pool_mistakes([tomllib.loads("\n".join(lines))])
    except tomllib.TOMLDecodeError:
        return False


def _device_lines(extended: Mapping[str, int], offered: Collection[str]) -> list[str]:
    vendors = {resource: vendor for vendor, resource in DEVICES.items()}
    gpus = {vendors[name]: count for name, count in extended.items() if name in vendors and count}
    # `gpu` replaces the devices of another vendor.
    others = {vendors[name] for name in offered if name in vendors} - gpus.keys()
    if len(gpus) == 1 and not others:
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
    return make_pool_name(kind or ("gpu" if devices else "large"), {*names, BASE_POOL})


def _ceil(amount: Decimal) -> int:
    return int(amount.to_integral_value(rounding="ROUND_CEILING"))
