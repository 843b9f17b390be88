"""BuildContext: what recipes build images with; Recipe: how one image is built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from devstack.docker.client import KEY_LABEL
from devstack.docker.podman_client import engine_client
from devstack.images.archive import LayeredImage, write_images
from devstack.images.artifact_cache import ArtifactCache, remove
from devstack.images.background_compiler import BackgroundCompiler
from devstack.images.programs import CONTAINERS, PROGRAMS
from devstack.process import Runner
from devstack.progress import Progress

__all__ = ["CONTAINERS", "BuildContext", "Recipe", "labels"]


class Recipe(Protocol):
    """How one image is built from packages."""

    @property
    def key(self) -> str:
        """The digest of everything the image is made from."""
        ...

    @property
    def programs(self) -> tuple[str, ...]:
        """The names of the Go programs in the image."""
        ...

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        """Write the image's layers.

        Args:
            context: the tools.
            scratch: an empty folder for the layers.
        """
        ...


class BuildContext:
    """The tools and the intermediate results of one build.

    Args:
        runner: starts programs.
        progress: reports the steps.
        cache: stores artifacts.
        programs: compiles the programs in the background.
        scratch: a folder for the image archives of this build.
    """

    def __init__(
        self,
        runner: Runner,
        progress: Progress,
        cache: ArtifactCache,
        programs: BackgroundCompiler,
        scratch: Path,
    ) -> None:
        self.runner = runner
        self.progress = progress
        self.cache = cache
        self.docker = engine_client(runner, cache.owner)
        self._programs = programs
        self._scratch = scratch
        self._temporary: list[str] = []

    def program(self, name: str) -> Path:
        """Return a compiled program, as soon as it is compiled."""
        return self._programs.wait(PROGRAMS[name])

    def is_compiled(self, recipe: Recipe) -> bool:
        """Return True if no program of an image has to be waited for."""
        programs = (PROGRAMS[name] for name in recipe.programs)
        return all(self.cache.have(program.name, program.key) for program in programs)

    def archive(self, recipe: Recipe) -> Path:
        """Return the archive of an image; it is written once per build."""
        self._programs.raise_error()
        path = self._scratch / f"{recipe.key}.tar"
        if not path.exists():
            layers = self._scratch / "layers"
            layers.mkdir()
            write_images(path, [recipe.image(self, layers)])
            remove(layers)
        return path

    def load(self, image: LayeredImage, scratch: Path) -> None:
        """Load an image into Docker.

        Args:
            image: its layers and configuration.
            scratch: a folder for the archive.
        """
        archive = scratch / "image.tar"
        write_images(archive, [image])
        self.docker.load_images(archive)
        archive.unlink()

    def temporary_image(self, root: Path) -> str:
        """Return the reference of an image of a root file system; it is loaded once per build.

        Args:
            root: the tar archive of the root file system.
        """
        reference = f"devstack/temporary-{self.cache.owner}:{root.name}"
        if reference not in self._temporary:
            self.remove_later(reference)
            with self.cache.scratch("temporary-image") as scratch:
                self.load(LayeredImage(reference, (root,)), scratch)
        return reference

    def remove_later(self, reference: str) -> None:
        """Remove an image's name from Docker when the build ends."""
        self._temporary.append(reference)

    def remove_temporary_images(self) -> None:
        """Remove the images of :meth:`temporary_image` and :meth:`remove_later`."""
        while self._temporary:
            self.docker.remove_image(self._temporary.pop())


def labels(key: str) -> Mapping[str, str]:
    """Return the labels of an image that was made from ``key``."""
    return {KEY_LABEL: key}
