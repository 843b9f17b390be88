"""ImageStore: the images in Docker, pulled or built if they are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from devstack.docker.client import DockerClient, Present
from devstack.errors import DevstackError, ExitStatus
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.catalogue import Image, find_image, find_images
from devstack.images.mirrors import Mirrors
from devstack.process import Runner
from devstack.progress import Progress

if TYPE_CHECKING:
    from devstack.images.timed_progress import StepTime


@dataclass(frozen=True)
class Row:
    """An image as `devstack images list` shows it.

    Attributes:
        name: its name in the catalogue.
        reference: what manifests call it.
        source: "built", "pulled", "outdated" or "absent".
        size: bytes on disk, 0 if it is absent.
        upstream: the reference that is pulled.
    """

    name: str
    reference: str
    source: str
    size: int
    upstream: str


class ImageStore:
    """Provides images: from Docker, else pulled, else built from packages.

    Args:
        runner: starts programs.
        progress: reports the steps.
        source: "auto", "pull" or "build".
        offline: True if nothing may be fetched.
        mirrors: where to pull images from.

    Attributes:
        build_times: the duration of each step of the last build.
    """

    def __init__(
        self,
        runner: Runner,
        progress: Progress,
        source: str = "auto",
        offline: bool = False,
        mirrors: Mirrors | None = None,
    ) -> None:
        self._runner = runner
        self._progress = progress
        self._source = source
        self._offline = offline
        self._mirrors = mirrors or Mirrors()
        self._docker = DockerClient(runner)
        self._cache = ArtifactCache()
        self.build_times: list[StepTime] = []

    def reference(self, name: str) -> str:
        """Return what manifests call the image; needs no Docker.

        Raises:
            DevstackError: ``IMAGE_UNKNOWN``.
        """
        return find_image(name).reference

    def present(self, names: Sequence[str]) -> dict[str, bool]:
        """Return for each image whether Docker has it, up to date."""
        return {row.name: row.source in ("built", "pulled") for row in self.rows(names)}

    def rows(self, names: Sequence[str] = ()) -> list[Row]:
        """Return the state of the images called ``names``, by default of all images."""
        images = find_images(names)
        found = self._docker.inspect_images([image.reference for image in images])
        return [_row(image, found.get(image.reference)) for image in images]

    def ensure(self, names: Sequence[str]) -> dict[str, str]:
        """Pull or build the images that are missing; return all references by name.

        Raises:
            DevstackError: ``IMAGES_MISSING`` when offline, ``IMAGE_UNAVAILABLE``
                when they can be neither pulled nor built.
        """
        if self._missing(names):
            if self._offline:
                raise _offline(self._missing(names))
            with self._cache.lock(self._progress):
                # Another process may have got them while this one waited.
                self._get(self._missing(names))
        return {name: self.reference(name) for name in names}

    def save(self, path: Path, names: Sequence[str], clients: Mapping[str, Path]) -> None:
        """Write images, kind and kubectl into a bundle file; see :mod:`devstack.images.bundle`."""
        from devstack.images.bundle import save

        wanted = [image.name for image in find_images(names)]
        self.ensure(wanted)
        save(path, wanted, clients, self._runner, self._progress, self._cache)

    def load(self, path: Path) -> list[str]:
        """Load a bundle file; return the names of its images."""
        from devstack.images.bundle import load

        return load(path, self._runner, self._progress, self._cache)

    def _missing(self, names: Sequence[str]) -> list[str]:
        return [name for name, there in self.present(names).items() if not there]

    def _get(self, names: Sequence[str]) -> None:
        if not names:
            return
        to_build = list(names) if self._source == "build" else self._pull(names)
        if to_build:
            from devstack.images.build import build_images

            self.build_times = build_images(to_build, self._runner, self._progress, self._cache)

    def _pull(self, names: Sequence[str]) -> list[str]:
        """Pull what can be pulled; return the rest, or raise if only pulling is allowed."""
        from devstack.images.build import image_key
        from devstack.images.registries import is_reachable, pull, unavailable

        images = [
            replace(image, upstream=self._mirrors.resolve(image.upstream) if image.upstream else "")
            for image in find_images(names)
        ]
        rest = [image.name for image in images if not image.upstream]
        for image in images:
            if not image.upstream:
                continue
            reachable = is_reachable(image.upstream)
            if not reachable and self._source == "pull":
                raise unavailable(image, "its registry does not answer")
            try:
                if reachable:
                    pull(self._docker, image, image_key(image.name), self._progress)
            except DevstackError as error:
                if self._source == "pull":
                    raise
                self._progress.warn(f"{error}; building it instead")
                reachable = False
            if not reachable:
                rest.append(image.name)
        return rest


def _row(image: Image, found: Present | None) -> Row:
    from devstack.images.build import image_key

    if found is None:
        source = "absent"
    elif not found.key:
        source = "pulled"
    else:
        source = "built" if found.key == image_key(image.name) else "outdated"
    size = found.size if found else 0
    return Row(image.name, image.reference, source, size, image.upstream)


def _offline(names: Sequence[str]) -> DevstackError:
    missing = ", ".join(f"{name} ({find_image(name).reference})" for name in names)
    return DevstackError(
        "cannot get the images offline",
        cause=f"Docker lacks {missing}",
        remedy="devstack images load FILE, with a bundle that `devstack images save FILE` "
        "wrote on a machine with a network; or omit --offline",
        code="IMAGES_MISSING",
        exit_status=ExitStatus.ENVIRONMENT,
    )
