"""The images that a user's Dockerfile builds upon, pulled through mirrors.

The engine builds upon an image that it has, so one that was pulled from a mirror gets its own name
before the build. Source: Docker's reference of Dockerfiles (FROM, ARG, COPY --from).
"""

from __future__ import annotations

import re
from pathlib import Path

from devstack.docker.client import DockerClient
from devstack.errors import DevstackError
from devstack.image_names import familiar, is_reference
from devstack.images.mirrors import Mirrors
from devstack.progress import Progress

PULL_TIMEOUT = 1800.0
"""Seconds for one image."""

_CONTINUED = re.compile(r"\\[ \t]*\n")
_ARG = re.compile(r"^\s*ARG\s+(\w+)=[\"']?([^\s\"']+)", re.IGNORECASE | re.MULTILINE)
_FROM = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE | re.MULTILINE)
_COPIED = re.compile(r"^\s*(?:COPY|ADD)\b.*?--from=(\S+)", re.IGNORECASE | re.MULTILINE)
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


def find_base_images(dockerfile: str) -> list[str]:
    """Return the images that a Dockerfile names, by tags; those of unknown variables are left out.

    Args:
        dockerfile: its text.
    """
    text = _CONTINUED.sub(" ", dockerfile)
    known = dict(_ARG.findall(text))
    stages = {stage for _, stage in _FROM.findall(text) if stage}
    named = [name for name, _ in _FROM.findall(text)] + _COPIED.findall(text)
    images = [_VARIABLE.sub(lambda each: known.get(each[1], each[0]), name) for name in named]
    return [
        familiar(image)
        for image in dict.fromkeys(images)
        if image not in {*stages, "scratch"} and not image.isdecimal() and is_reference(image)
    ]


def pull_base_images(
    docker: DockerClient, dockerfile: Path, mirrors: Mirrors, progress: Progress
) -> None:
    """Pull the images of a Dockerfile that have a mirror, and that Docker lacks.

    Raises:
        DevstackError: ``IMAGE_BUILD_FAILED``.
    """
    if not mirrors.by_registry:
        return
    images = find_base_images(dockerfile.read_text(errors="replace"))
    mirrored = [image for image in images if mirrors.resolve(image) != image]
    present = docker.inspect_images(mirrored) if mirrored else {}
    for image in mirrored:
        if image in present:
            continue
        place = mirrors.resolve(image)
        try:
            docker.pull(place, progress, PULL_TIMEOUT)
        except DevstackError as error:
            raise DevstackError(
                f"cannot build {dockerfile}",
                cause=f"{image} cannot be pulled from its mirror, {place}",
                remedy=f"`docker pull {place}` shows why: a login, a certificate, or no such image",
                code="IMAGE_BUILD_FAILED",
                output=error.output,
            ) from error
        docker.tag(place, image)
        docker.remove_image(place)
