"""The images that a user's Dockerfile builds upon, pulled through mirrors.

The engine builds upon an image that it has, so one that was pulled from a mirror gets its own name
before the build. Source: Docker's reference of Dockerfiles (FROM, ARG, COPY --from).
"""

from __future__ import annotations

import re
from pathlib import Path

from devstack.docker.client import DockerClient
from devstack.image_names import familiar, is_reference
from devstack.images.mirrors import Mirrors
from devstack.images.registries import Pull, pull_images
from devstack.progress import Progress

_HEREDOC = re.compile(r"(?<!<)<<(-?)([\"']?)([A-Za-z_]\w*)\2")
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
    text = _CONTINUED.sub(" ", _without_heredocs(dockerfile))
    known = dict(_ARG.findall(text))
    # Docker compares the names of stages regardless of case.
    stages = {stage.lower() for _, stage in _FROM.findall(text) if stage}
    named = [name for name, _ in _FROM.findall(text)] + _COPIED.findall(text)
    images = [_VARIABLE.sub(lambda each: known.get(each[1], each[0]), name) for name in named]
    return [
        familiar(image)
        for image in dict.fromkeys(images)
        if image.lower() not in {*stages, "scratch"}
        and not image.isdecimal()
        and is_reference(image)
    ]


def _without_heredocs(text: str) -> str:
    """Return a Dockerfile without the lines of its here-documents."""
    lines = text.splitlines()
    kept = []
    while lines:
        line = lines.pop(0)
        kept.append(line)
        for tabs, _, end in _HEREDOC.findall(line):
            ends = [index for index, each in enumerate(lines) if _ends(each, end, tabs)]
            # Without its end, it was none.
            del lines[: ends[0] + 1 if ends else 0]
    return "\n".join(kept)


def _ends(line: str, end: str, tabs: str) -> bool:
    return (line.lstrip("\t") if tabs else line) == end


def pull_base_images(
    docker: DockerClient, dockerfile: Path, mirrors: Mirrors, progress: Progress
) -> None:
    """Pull the images of a Dockerfile that have a mirror, and that Docker lacks.

    What cannot be pulled is a warning: the build shows whether it needs the image.
    """
    if not mirrors.by_registry:
        return
    images = find_base_images(dockerfile.read_text(errors="replace"))
    mirrored = [image for image in images if mirrors.resolve(image) != image]
    present = docker.inspect_images(mirrored) if mirrored else {}
    pulls = {
        Pull(mirrors.resolve(image), engine=docker.engine, published=image): image
        for image in mirrored
        if image not in present
    }

    def name(pull: Pull) -> None:
        docker.tag(pull.reference, pulls[pull])
        docker.remove_image(pull.reference)

    errors = pull_images(list(pulls), progress, name) if pulls else {}
    for pull, error in errors.items():
        progress.warn(f"{error}, so {pulls[pull]} is left to the build; {error.remedy}")
