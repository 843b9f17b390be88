"""Names of images.

Source: the grammar of the package reference of github.com/distribution/reference, whose
"familiar" form, such as ``python:3.11``, is what users write and Docker shows.
"""

from __future__ import annotations

import re

DEFAULT_TAG = "latest"
_DOMAIN = "docker.io"
_OFFICIAL = "library"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
# A host without a dot needs a port: `hub/app` is an image of Docker Hub.
HOST = rf"(?:localhost|{_LABEL}(?:\.{_LABEL})+|{_LABEL}(?=:\d))(?::\d{{1,5}})?"
"""The pattern of a registry's host and port."""
FOLDER = rf"/{_COMPONENT}"
"""The pattern of one part of a path, with the slash before it."""
_REFERENCE = re.compile(
    rf"(?:(?P<host>{HOST})/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?",
    re.ASCII,
)


def is_reference(text: str) -> bool:
    """Return True if ``text`` may name an image by a tag, or by no tag."""
    return len(text) < 256 and _REFERENCE.fullmatch(text) is not None


def familiar(reference: str) -> str:
    """Return a name as users write it, with its tag: ``python:latest`` for ``python``.

    Args:
        reference: the name of an image by a tag, or by no tag; any other is returned as it is.
    """
    found = _REFERENCE.fullmatch(reference)
    if not found:
        return reference
    host, path, tag = found["host"], found["path"], found["tag"] or DEFAULT_TAG
    if host in (_DOMAIN, f"index.{_DOMAIN}"):
        host, path = None, path.removeprefix(f"{_OFFICIAL}/")
    return f"{host}/{path}:{tag}" if host else f"{path}:{tag}"


def complete(reference: str) -> str:
    """Return a name with its registry, as containerd keeps it: ``docker.io/library/python:latest``.

    Args:
        reference: the name of an image by a tag, or by no tag.
    """
    name = familiar(reference)
    found = _REFERENCE.fullmatch(name)
    if not found or found["host"]:
        return name
    path = name if "/" in name else f"{_OFFICIAL}/{name}"
    return f"{_DOMAIN}/{path}"


def split_registry(reference: str) -> tuple[str, str]:
    """Return the registry of an image's name, and the rest: ``("docker.io", "library/python:3")``.

    Args:
        reference: an image, with or without registry, tag and digest.
    """
    first, slash, rest = reference.partition("/")
    # The grammar of a domain: a name without dot or port is a folder of Docker Hub.
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        return _DOMAIN, reference if slash else f"{_OFFICIAL}/{reference}"
    if first not in (_DOMAIN, f"index.{_DOMAIN}"):
        return first, rest
    return _DOMAIN, rest if "/" in rest else f"{_OFFICIAL}/{rest}"


def spellings(reference: str) -> set[str]:
    """Return all texts that :func:`familiar` turns into the familiar form of a name."""
    name = familiar(reference)
    found = {name}
    if complete(name) != name:
        path = complete(name).removeprefix(f"{_DOMAIN}/")
        found |= {f"{host}{_DOMAIN}/{each}" for host in ("", "index.") for each in (name, path)}
    short = {each.removesuffix(f":{DEFAULT_TAG}") for each in found}
    return found | {each for each in short if familiar(each) == name}


def is_latest(reference: str) -> bool:
    """Return True for the tag ``latest``, also if it is only implied.

    Kubernetes then pulls the image for each pod, unless the pod has another pull policy.
    """
    return familiar(reference).endswith(f":{DEFAULT_TAG}")
