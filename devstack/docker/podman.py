"""Commands of the ``docker`` client, run by Podman.

Podman takes the same commands with few exceptions. It names images in full: one that it builds or
loads under a short name is ``localhost/NAME``, which is not what Docker, kind and the pods of a
cluster mean by it. So what gets a name here gets the full one, ``docker.io/NAME``; short names
that are looked up find both.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from devstack.docker.engine import DOCKER, PODMAN, Engine
from devstack.image_names import split_registry
from devstack.process import Completed, Runner

HUB = "docker.io/"
LOCAL = "localhost/"

_LOADED = "Loaded image"
_NAMING_OPTIONS = ("--tag", "-t")


def full_name(reference: str) -> str:
    """Return an image's name with its registry, as Docker completes it."""
    registry, rest = split_registry(reference)
    return f"{registry}/{rest}"


def short_name(reference: str) -> str:
    """Return the name that Docker shows of an image."""
    return reference.removeprefix(LOCAL).removeprefix(HUB).removeprefix("library/")


def pulled_name(reference: str) -> str:
    """Return the name to pull an image by: Podman rejects one with both a tag and a digest."""
    name, at, digest = reference.partition("@")
    if not at:
        return full_name(reference)
    head, slash, last = name.rpartition("/")
    return f"{full_name(head + slash + last.partition(':')[0])}@{digest}"


class PodmanRunner:
    """A :class:`devstack.process.Runner` that runs Docker's commands by Podman.

    Args:
        inner: runs all programs.
    """

    def __init__(self, inner: Runner) -> None:
        self._inner = inner

    def which(self, program: str) -> str | None:
        """Return the path of ``program`` on PATH; for Docker's client, of Podman."""
        return self._inner.which(PODMAN.name if program == DOCKER.name else program)

    def run(self, argv: Sequence[str], **options: Any) -> Completed:
        """Run ``argv`` and wait for it; see :class:`devstack.process.Runner`."""
        if argv[0] != DOCKER.name:
            return self._inner.run(argv, **options)
        if argv[1] == "save":
            self._give_full_names(argv[argv.index("--") + 1 :])
        done = self._inner.run(podman_command(argv), **options)
        if argv[1] == "load" and done.ok:
            self._name_loaded(done.stdout)
        return docker_result(argv, done)

    def _give_full_names(self, references: Sequence[str]) -> None:
        """Add the name that a node knows an image by, which an archive keeps."""
        for reference in references:
            self._inner.run([PODMAN.name, "tag", reference, full_name(reference)], check=False)

    def _name_loaded(self, output: str) -> None:
        """Rename the images of an archive, which got Podman's own registry."""
        for line in output.splitlines():
            name = line.rpartition(": ")[2].strip()
            if line.startswith(_LOADED) and name.startswith(LOCAL):
                self._inner.run([PODMAN.name, "tag", name, full_name(short_name(name))])
                self._inner.run([PODMAN.name, "untag", name, name], check=False)


def engine_of(runner: Runner) -> Engine:
    """Return the engine by which a runner runs Docker's commands."""
    return PODMAN if isinstance(runner, PodmanRunner) else DOCKER


def with_engine(runner: Runner, engine: Engine) -> Runner:
    """Return a runner whose Docker commands are run by an engine."""
    return PodmanRunner(runner) if engine == PODMAN else runner


def podman_command(argv: Sequence[str]) -> list[str]:
    """Return Podman's command for one of Docker's client."""
    verb, rest = argv[1], [_without_tag(each) for each in argv[2:]]
    if verb == "info":
        rest = [each.replace(".DefaultRuntime", ".Host.OCIRuntime.Name") for each in rest]
    elif verb == "pull":
        rest[-1] = full_name(rest[-1])
    elif verb == "tag":
        rest = [rest[0], full_name(rest[1])]
    elif verb == "commit":
        rest = ["--format", "docker", *rest[:-1], full_name(rest[-1])]
    elif verb == "build":
        rest = ["--format", "docker", *_with_full_tags(rest)]
    elif verb == "save":
        rest = ["--multi-image-archive", "--format", "docker-archive", *_save(rest)]
    elif verb in ("run", "create"):
        # An image that is missing is an error here; Podman would ask which registry to pull from.
        # It would also pass this process's proxies on, and an image keeps those of its container.
        rest = ["--pull", "never", "--http-proxy=false", *rest]
    return [PODMAN.name, verb, *rest]


def _without_tag(argument: str) -> str:
    is_pinned = "@sha256:" in argument and not argument.startswith("-")
    return pulled_name(argument) if is_pinned else argument


def _with_full_tags(arguments: Sequence[str]) -> list[str]:
    return [
        full_name(each) if before in _NAMING_OPTIONS else each
        for before, each in zip(["", *arguments], arguments, strict=False)
    ]


def _save(arguments: Sequence[str]) -> list[str]:
    start = arguments.index("--") + 1
    return [*arguments[:start], *(full_name(each) for each in arguments[start:])]


def docker_result(argv: Sequence[str], done: Completed) -> Completed:
    """Return what Docker's client would have written."""
    if tuple(argv[1:3]) == ("image", "ls"):
        names = [short_name(line) for line in done.stdout.splitlines()]
        return replace(done, stdout="\n".join(names))
    if tuple(argv[1:3]) == ("image", "inspect") and "{{json .}}" in argv:
        lines = [json.dumps(_docker_image(image)) for image in _documents(done.stdout)]
        # What Docker says of a missing image.
        stderr = done.stderr.replace("image not known", "No such image")
        return replace(done, stdout="\n".join(lines), stderr=stderr)
    return done


def _documents(text: str) -> list[Any]:
    """Return the objects of a text: Podman 4 writes one list of them, Docker one line for each."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        found += value if isinstance(value, list) else [value]
    return found


def _docker_image(image: dict[str, Any]) -> dict[str, Any]:
    changed = dict(image)
    for key in ("RepoTags", "RepoDigests"):
        changed[key] = [short_name(name) for name in image.get(key) or []]
    if image.get("Id") and ":" not in image["Id"]:
        changed["Id"] = f"sha256:{image['Id']}"
    return changed
