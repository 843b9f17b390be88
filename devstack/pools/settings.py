"""The tables ``[[pool]]`` of devstack.toml, and ``--pool`` of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict, get_args

from msgspec import Meta

Vendor = Literal["nvidia", "amd", "neuron", "tpu"]
VENDORS: tuple[str, ...] = get_args(Vendor)

BASE_POOL = "control-plane"
"""The pool of the nodes that every cluster has: the control plane's, and those of `--nodes`."""

SPOT_LABEL = "node.kubernetes.io/lifecycle"
"""The label, of the value ``spot``, of the nodes of a pool with `spot = true`."""

SPOT_TAINT = f"{SPOT_LABEL}=spot:NoSchedule"
"""The taint of a pool with `spot = true`."""

POOLS_MAX, NODES_MAX = 20, 20
"""More nodes than this need more than 2 GiB at rest."""

NAME_MAX = 20
"""The most characters of a pool's name, which is a part of its nodes' host names."""

Name = Annotated[
    str,
    Meta(
        pattern=rf"^[a-z0-9]([a-z0-9-]{{0,{NAME_MAX - 2}}}[a-z0-9])?\Z",
        description=f"is not a name of 1 to {NAME_MAX} lower-case letters, digits and dashes",
    ),
]
Count = Annotated[
    int, Meta(ge=0, le=NODES_MAX, description=f"is not a number from 0 to {NODES_MAX}")
]
CPUS_MAX, DEVICES_MAX = 1024, 1024
Cpus = Annotated[
    int, Meta(ge=1, le=CPUS_MAX, description=f"is not a number of CPUs from 1 to {CPUS_MAX}")
]
Size = Annotated[
    str,
    Meta(
        pattern=r"^[1-9][0-9]*(Mi|Gi|Ti|M|G|T)\Z",
        description="is not a quantity of bytes such as '64Gi'",
    ),
]
LabelValue = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?\Z",
        description="is not the value of a label: at most 63 letters, digits, '.', '_', '-'",
    ),
]
Taint = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*(=([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?)?:(NoSchedule|PreferNoSchedule|NoExecute)\Z",
        description="is not a taint such as 'key=value:NoSchedule'",
    ),
]
Seconds = Annotated[
    int, Meta(ge=0, le=3600, description="is not a number of seconds from 0 to 3600")
]
Devices = Annotated[
    int, Meta(ge=0, le=DEVICES_MAX, description=f"is not a number from 0 to {DEVICES_MAX}")
]


class GpuSettings(TypedDict, total=False):
    """The accelerators of each node of a pool."""

    vendor: Vendor
    count: Devices


class PoolSettings(TypedDict, total=False):
    """One pool; see docs/pools.md for the meaning of each setting."""

    name: Name
    count: Count
    min: Count
    max: Count
    delay: Seconds
    idle: Seconds
    instance_type: LabelValue
    zones: tuple[LabelValue, ...]
    cpu: Cpus
    memory: Size
    disk: Size
    gpu: GpuSettings
    labels: dict[str, LabelValue]
    taints: tuple[Taint, ...]
    spot: bool
    extended: dict[str, Devices]


def parse_pool(text: str) -> dict[str, Any]:
    """Return the table of ``--pool``: ``name=gpu,count=2,instance_type=p3.8xlarge``.

    Several ``zones``, ``labels``, ``taints`` or ``extended`` resources are separated by ``+``:
    ``labels=team=a+stage=b``. ``gpu`` is a number of NVIDIA devices or ``VENDOR:NUMBER``. Values
    are checked with those of devstack.toml.
    """
    given = dict(part.partition("=")[::2] for part in text.split(",") if part)
    table: dict[str, Any] = {key.replace("-", "_"): value for key, value in given.items()}
    for key in ("count", "min", "max", "delay", "idle", "cpu"):
        table |= {key: _number(table[key])} if key in table else {}
    for key in ("zones", "taints"):
        table |= {key: table[key].split("+")} if key in table else {}
    for key in ("labels", "extended"):
        table |= {key: _pairs(table[key])} if key in table else {}
    if "extended" in table:
        table["extended"] = {name: _number(each) for name, each in table["extended"].items()}
    if "spot" in table:
        table["spot"] = {"true": True, "false": False, "": True}.get(table["spot"], table["spot"])
    if "gpu" in table:
        table["gpu"] = _gpu(table["gpu"])
    return table


def _gpu(text: str) -> Mapping[str, Any]:
    vendor, _, count = text.rpartition(":")
    return {"vendor": vendor or "nvidia", "count": _number(count)}


def _number(text: str) -> int | str:
    """Return the number that a text is, or the text for a message about it."""
    return int(text) if text.removeprefix("-").isdecimal() else text


def _pairs(text: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in text.split("+") if part)
