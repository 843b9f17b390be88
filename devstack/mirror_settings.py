"""The mistakes in the setting ``[images] mirror``, all of them at once.

Source: the grammar of domains and paths of github.com/distribution/reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from devstack.image_names import FOLDER, HOST

EVERY_OTHER = "*"
"""The key of the mirror of all registries without one of their own."""

_REGISTRY = re.compile(HOST, re.ASCII)
_MIRROR = re.compile(rf"{HOST}(?:{FOLDER})*", re.ASCII)
_HUB = re.compile(r"(index|registry|registry-1)\.docker\.io")


def mirror_mistakes(mirrors: object, path: str) -> list[str]:
    """Return every mistake in a table of mirrors, one sentence each.

    Args:
        mirrors: the mirror, ``HOST[:PORT][/PATH]``, by registry; an empty one is none.
        path: what the table is called in messages.
    """
    if not isinstance(mirrors, Mapping):
        return [f'{path}: {mirrors!r} is not a table, {{"docker.io" = "registry.corp:5000/hub"}}']
    return [
        f"{path}: {mistake}"
        for registry, mirror in mirrors.items()
        for mistake in (*_registry_mistakes(registry), *_mirror_mistakes(registry, mirror))
    ]


def _registry_mistakes(registry: object) -> Iterator[str]:
    text = str(registry)
    if _HUB.fullmatch(text):
        yield f"{text!r} is Docker Hub, which images call docker.io"
    elif text != EVERY_OTHER and not _REGISTRY.fullmatch(text):
        what = _form_mistake(text) or "is not HOST[:PORT], such as docker.io"
        yield f'{text!r} {what}; a mirror is for a whole registry, or "*" for all others'


def _mirror_mistakes(registry: object, mirror: object) -> Iterator[str]:
    text = mirror if isinstance(mirror, str) else ""
    if mirror != "" and not _MIRROR.fullmatch(text):
        what = _form_mistake(text) or "is not HOST[:PORT][/PATH], such as registry.corp:5000/hub"
        yield f"the mirror {mirror!r} of {registry!r} {what}"


def _form_mistake(text: str) -> str:
    if "://" in text:
        return "has a scheme: write HOST[:PORT][/PATH]"
    if text.endswith("/"):
        return "ends with a slash"
    if text != text.lower() and _MIRROR.fullmatch(text.lower()):
        return "has upper-case letters in its path, which names of images cannot have"
    return ""
