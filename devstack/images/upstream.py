"""The published images that are pulled or built upon; `upstream.toml` lists them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from devstack.errors import DevstackError, ExitStatus
from devstack.image_names import FOLDER, HOST
from devstack.images.kubernetes_versions import DEFAULT
from devstack.toml import tomllib
from devstack.validation import suggest, table_mistakes

FILE = Path(__file__).with_name("upstream.toml")
VARIABLE = "DEVSTACK_UPSTREAM_IMAGES"
"""Names a file whose tables replace those of FILE, for mirrors whose copies have other digests."""
NODE = "node"
"""The node image with the default version of Kubernetes; its table has the version in its name."""


Reference = Annotated[
    str,
    Meta(
        pattern=rf"^{HOST}({FOLDER})+:\w[\w.-]{{0,127}}$",
        description="is not REGISTRY/PATH:TAG, such as docker.io/library/python:3.11.16",
    ),
]
Digest = Annotated[
    str,
    Meta(
        pattern=r"^(sha256:[0-9a-f]{64})?$", description="is not sha256: and 64 hexadecimal digits"
    ),
]
Size = Annotated[int, Meta(ge=0, description="is not a number of bytes")]


Platforms = Annotated[
    list[str] | dict[str, Digest], Meta(description="is neither a list of platforms nor a table")
]


class Table(TypedDict, total=False):
    """A published image in the file; see there."""

    reference: Reference
    digest: Digest
    platforms: Platforms
    size: Size
    verified: str
    cgroup: Literal["", "v2"]
    same_as: str


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
        cgroup: "v2" for a node image that does not boot on an engine with cgroup v1.
    """

    reference: str
    digest: str = ""
    platforms: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    verified: str = ""
    cgroup: str = ""

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
    return load_upstream(os.environ.get(VARIABLE, "")).get(_table(name))


@cache
def load_upstream(other: str = "") -> Mapping[str, Upstream]:
    """Return the published images, by the names of their tables.

    Args:
        other: a file with tables that replace those of FILE.

    Raises:
        DevstackError: ``UPSTREAM_IMAGES_INVALID``.
    """
    tables: dict[str, Any] = tomllib.loads(FILE.read_text())
    if not other:
        return _parse_all(tables)
    try:
        own = tomllib.loads(Path(other).read_text())
    except (OSError, ValueError) as error:
        raise _invalid(other, str(error)) from error
    mistakes = _mistakes(own, tables)
    if mistakes:
        raise _invalid(other, "; ".join(mistakes))
    return _parse_all({**tables, **own})


def _mistakes(own: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """Return every mistake in the tables of another file, one sentence each."""
    fields: dict[str, Any] = dict.fromkeys(known, Table)
    found = table_mistakes(own, fields)
    for name, table in own.items():
        if name not in known or not isinstance(table, Mapping):
            continue
        if "same_as" in table:
            if table["same_as"] not in known:
                found.append(
                    f"{name}.same_as: {table['same_as']!r}{suggest(table['same_as'], known)}"
                )
        elif "reference" not in table:
            found.append(f"{name}.reference is missing")
    return found


def _invalid(file: str, cause: str) -> DevstackError:
    return DevstackError(
        f"cannot read the list of published images {file}",
        cause=cause,
        remedy=f"correct the file, or unset {VARIABLE}",
        code="UPSTREAM_IMAGES_INVALID",
        exit_status=ExitStatus.USAGE,
    )


def _parse_all(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Upstream]:
    return {name: _parse(tables[table.get("same_as", name)]) for name, table in tables.items()}


def _parse(table: Mapping[str, Any]) -> Upstream:
    platforms = table.get("platforms", ())
    if not isinstance(platforms, Mapping):
        platforms = dict.fromkeys(platforms, "")
    return Upstream(
        table["reference"],
        table.get("digest", ""),
        platforms,
        table.get("size", 0),
        table.get("verified", ""),
        table.get("cgroup", ""),
    )


def _table(name: str) -> str:
    return f"{NODE}-{DEFAULT}" if name == NODE else name
