"""How long building images from packages takes, about; measured in docs/adr/0002."""

from __future__ import annotations

import os
from collections.abc import Sequence

from devstack.images.artifact_cache import ArtifactCache
from devstack.images.build import NODES, programs_of
from devstack.images.programs import PROGRAMS

CPU_SECONDS = {
    "kubernetes": 480,
    "minio": 180,
    "argo": 590,
    "argo-events": 260,
    "metrics-server": 90,
    "registry": 60,
}
"""Of compiling all programs of a Go module for the first time, by the module's folder."""
OTHER_CPU_SECONDS = 40
"""Of a module of devstack's own."""
IMAGE_SECONDS = 15
"""Of installing packages and writing an image."""
NODE_SECONDS = 90
"""Of a node image, apart from the programs inside."""


def expected_minutes(names: Sequence[str], cache: ArtifactCache, preload: bool = True) -> int:
    """Return how many minutes building images takes on this machine, at least 1.

    Args:
        names: the images.
        cache: what is in it need not be compiled.
        preload: False for node images without the stack's own images inside.
    """
    missing = [
        PROGRAMS[name]
        for name in programs_of(names, preload)
        if not cache.have(PROGRAMS[name].name, PROGRAMS[name].key)
    ]
    modules = {program.module.name for program in missing}
    compiling = sum(CPU_SECONDS.get(module, OTHER_CPU_SECONDS) for module in modules)
    writing = sum(NODE_SECONDS if name in NODES else IMAGE_SECONDS for name in names)
    return max(1, round((compiling / (os.cpu_count() or 1) + writing) / 60))
