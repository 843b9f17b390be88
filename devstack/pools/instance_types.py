"""Well-known instance types of AWS, Google Cloud and Azure, and what they offer.

The families are those that Metaflow's documentation and its users' flows name, with the
vendors' published sizes. A pool may override each value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

GIB = 1024**3

NVIDIA, AMD = "nvidia.com/gpu", "amd.com/gpu"
NEURON, TPU = "aws.amazon.com/neuron", "google.com/tpu"
"""The extended resources that the vendors' device plugins advertise."""


@dataclass(frozen=True)
class InstanceType:
    """What an instance type offers.

    Attributes:
        cpu: virtual CPUs.
        memory: bytes.
        device: the extended resource of its accelerators; empty if it has none.
        devices: the number of its accelerators.
    """

    cpu: int
    memory: int
    device: str = ""
    devices: int = 0


_AWS_SIZES = {"large": 2, "xlarge": 4} | {f"{n}xlarge": 4 * n for n in (2, 4, 8, 12, 16, 24)}
_AWS_FAMILIES = {
    **dict.fromkeys(("c5", "c6i", "c7i"), 2),
    **dict.fromkeys(("m5", "m6i", "m7i"), 4),
    **dict.fromkeys(("r5", "r6i", "r7i"), 8),
}
"""GiB of memory per virtual CPU."""

_AWS_ACCELERATED = {
    "p3.2xlarge": (8, 61, NVIDIA, 1),
    "p3.8xlarge": (32, 244, NVIDIA, 4),
    "p3.16xlarge": (64, 488, NVIDIA, 8),
    "p4d.24xlarge": (96, 1152, NVIDIA, 8),
    "p5.48xlarge": (192, 2048, NVIDIA, 8),
    "g4dn.xlarge": (4, 16, NVIDIA, 1),
    "g4dn.2xlarge": (8, 32, NVIDIA, 1),
    "g4dn.12xlarge": (48, 192, NVIDIA, 4),
    "g5.xlarge": (4, 16, NVIDIA, 1),
    "g5.2xlarge": (8, 32, NVIDIA, 1),
    "g5.12xlarge": (48, 192, NVIDIA, 4),
    "g5.48xlarge": (192, 768, NVIDIA, 8),
    "g6.xlarge": (4, 16, NVIDIA, 1),
    "g6.12xlarge": (48, 192, NVIDIA, 4),
    "trn1.2xlarge": (8, 32, NEURON, 1),
    "trn1.32xlarge": (128, 512, NEURON, 16),
    "inf2.xlarge": (4, 16, NEURON, 1),
    "inf2.48xlarge": (192, 384, NEURON, 12),
}

_GOOGLE_SIZES = (2, 4, 8, 16, 32)
_GOOGLE_FAMILIES = {
    "e2-standard": 4.0,
    "e2-highmem": 8.0,
    "n1-standard": 3.75,
    "n2-standard": 4.0,
    "n2-highmem": 8.0,
    "c3-standard": 4.0,
}
_GOOGLE_ACCELERATED = {
    "a2-highgpu-1g": (12, 85, NVIDIA, 1),
    "a2-highgpu-4g": (48, 340, NVIDIA, 4),
    "a2-highgpu-8g": (96, 680, NVIDIA, 8),
    "a3-highgpu-8g": (208, 1872, NVIDIA, 8),
    "g2-standard-4": (4, 16, NVIDIA, 1),
    "g2-standard-48": (48, 192, NVIDIA, 4),
    "ct5lp-hightpu-4t": (112, 192, TPU, 4),
}

_AZURE_SIZES = (2, 4, 8, 16, 32, 64)
_AZURE_FAMILIES = {"Standard_D{}s_v5": 4, "Standard_E{}s_v5": 8, "Standard_F{}s_v2": 2}
_AZURE_ACCELERATED = {
    "Standard_NC6s_v3": (6, 112, NVIDIA, 1),
    "Standard_NC24s_v3": (24, 448, NVIDIA, 4),
    "Standard_NC24ads_A100_v4": (24, 220, NVIDIA, 1),
    "Standard_NC96ads_A100_v4": (96, 880, NVIDIA, 4),
    "Standard_ND96asr_v4": (96, 900, NVIDIA, 8),
    "Standard_NV36ads_A10_v5": (36, 440, NVIDIA, 1),
}


def _general() -> Iterator[tuple[str, InstanceType]]:
    for family, ratio in _AWS_FAMILIES.items():
        for size, cpu in _AWS_SIZES.items():
            yield f"{family}.{size}", InstanceType(cpu, cpu * ratio * GIB)
    for family, gib in _GOOGLE_FAMILIES.items():
        for cpu in _GOOGLE_SIZES:
            yield f"{family}-{cpu}", InstanceType(cpu, int(cpu * gib * GIB))
    for pattern, ratio in _AZURE_FAMILIES.items():
        for cpu in _AZURE_SIZES:
            yield pattern.format(cpu), InstanceType(cpu, cpu * ratio * GIB)


def _accelerated() -> Iterator[tuple[str, InstanceType]]:
    for table in (_AWS_ACCELERATED, _GOOGLE_ACCELERATED, _AZURE_ACCELERATED):
        for name, (cpu, gib, device, devices) in table.items():
            yield name, InstanceType(cpu, gib * GIB, device, devices)


INSTANCE_TYPES: Mapping[str, InstanceType] = {**dict(_general()), **dict(_accelerated())}
"""All known instance types, by the name that the vendor gives them."""
