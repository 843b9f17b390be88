"""The references of the published images that devstack pulls."""

from __future__ import annotations

from dataclasses import dataclass

from devstack.images.kubernetes_versions import DEFAULT
from devstack.images.upstream import load_upstream
from tests.containers.upstream.images import BUILDERS

NODE_TABLE = f"node-{DEFAULT}"
"""The table of the node image in devstack's list of images."""


@dataclass(frozen=True)
class Reference:
    """A reference with registry and tag.

    Attributes:
        full: the whole reference.
    """

    full: str

    @property
    def path(self) -> str:
        """Repository and tag, without the registry."""
        return self.full.partition("/")[2]

    @property
    def repository(self) -> str:
        """The repository, without registry and tag."""
        return self.path.rpartition(":")[0]


def published() -> dict[str, Reference]:
    """Return the references by the names of their tables in devstack's list of images."""
    upstream = load_upstream()
    return {name: Reference(upstream[name].reference) for name in (*BUILDERS, NODE_TABLE)}
