"""Mirrors of registries: where images are pulled from instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from devstack.image_names import split_registry
from devstack.mirror_settings import EVERY_OTHER


@dataclass(frozen=True)
class Mirrors:
    """The mirrors of registries.

    A mirror replaces its registry: nothing is pulled from the registry itself, so that
    credentials of one are never sent to the other.

    Attributes:
        by_registry: the mirror, ``HOST[:PORT][/PATH]``, of each registry; see
            :data:`EVERY_OTHER`.
    """

    by_registry: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, mirror: Mapping[str, str]) -> Mirrors:
        """Return the mirrors of the setting ``[images] mirror``; those that are empty are none."""
        return cls({registry: place for registry, place in mirror.items() if place})

    def find(self, registry: str) -> str:
        """Return a registry's mirror, ``HOST[:PORT][/PATH]``; empty if it has none.

        A registry that serves as a mirror is not mirrored by :data:`EVERY_OTHER`.
        """
        if registry in self.by_registry:
            found = self.by_registry[registry]
        else:
            found = "" if registry in self.hosts else self.by_registry.get(EVERY_OTHER, "")
        return "" if found == registry else found

    def resolve(self, reference: str) -> str:
        """Return the reference from which an image is pulled.

        Args:
            reference: an image, with or without registry, tag and digest.

        Returns:
            The same path, tag and digest at the mirror; ``reference`` itself if its registry
            has no mirror.
        """
        registry, rest = split_registry(reference)
        mirror = self.find(registry)
        return f"{mirror}/{rest}" if mirror else reference

    @property
    def hosts(self) -> set[str]:
        """The hosts, with their ports, that serve as mirrors."""
        return {mirror_host(place) for place in self.by_registry.values()}


def mirror_host(mirror: str) -> str:
    """Return the ``HOST[:PORT]`` of a mirror."""
    return mirror.partition("/")[0]
