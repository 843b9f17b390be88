"""The published images that are pulled or built upon; `upstream.toml` lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from devstack.images import versions
from devstack.toml import tomllib

FILE = Path(__file__).with_name("upstream.toml")
NODE = "node"
"""The node image with the default version of Kubernetes; its table has the version in its name."""


@dataclass(frozen=True)
class Upstream:
    """A published image.

    Attributes:
        reference: registry, path and tag.
        digest: of the index of all platforms; empty if it is not known.
        platforms: the platforms that devstack runs on, with the digests of their manifests, empty
            where they are not known.
        size: bytes that are downloaded, about; 0 if it is not known.
        verified: where and when digest and size were verified.
    """

    reference: str
    digest: str = ""
    platforms: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    verified: str = ""

    @property
    def pinned(self) -> str:
        """The reference to pull: by its digest, or by its tag if no digest is known."""
        return f"{self.repository}@{self.digest}" if self.digest else self.reference

    @property
    def repository(self) -> str:
        """Registry and path, without the tag."""
        return self.reference.rpartition(":")[0]

    @property
    def registry(self) -> str:
        """The registry's name."""
        return self.reference.partition("/")[0]


def find_upstream(name: str) -> Upstream | None:
    """Return the published image of an image of the catalogue; None for devstack's own."""
    return load_upstream().get(_table(name))


@cache
def load_upstream(file: Path = FILE) -> Mapping[str, Upstream]:
    """Return the published images, by the names of their tables in ``file``."""
    tables: dict[str, dict[str, Any]] = tomllib.loads(file.read_text())
    return {name: _parse(tables[table.get("same_as", name)]) for name, table in tables.items()}


def _parse(table: Mapping[str, Any]) -> Upstream:
    platforms = table["platforms"]
    if not isinstance(platforms, Mapping):
        platforms = dict.fromkeys(platforms, "")
    return Upstream(
        table["reference"],
        table.get("digest", ""),
        platforms,
        table.get("size", 0),
        table["verified"],
    )


def _table(name: str) -> str:
    if name != NODE:
        return name
    return "node-" + ".".join(versions.KUBERNETES.removeprefix("v").split(".")[:2])
