"""What every recipe works with, and the shape of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from devstack.docker.images import KEY_LABEL, Docker
from devstack.images.archive import LayeredImage, write_images
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.golang import CONTAINERS, PROGRAMS, Compiler
from devstack.process import Runner
from devstack.progress import Progress

__all__ = ["CONTAINERS", "BuildContext", "Recipe", "labels"]


class BuildContext:
    """The tools that build images.

    Args:
        runner: starts programs.
        progress: told what is being made.
        pieces: where pieces are kept.
    """

    def __init__(self, runner: Runner, progress: Progress, pieces: ArtifactCache) -> None:
        self.runner = runner
        self.progress = progress
        self.pieces = pieces
        self.docker = Docker(runner)
        self.compiler = Compiler(runner, progress, pieces)

    def program(self, name: str) -> Path:
        """Return a compiled program."""
        return self.compiler.ensure([PROGRAMS[name]])[name]

    def load(self, image: LayeredImage, scratch: Path) -> None:
        """Give an image to Docker, by way of an archive in ``scratch``."""
        archive = scratch / "image.tar"
        write_images(archive, [image])
        self.docker.load(archive)
        archive.unlink()


class Recipe(Protocol):
    """How one image is built from packages."""

    @property
    def key(self) -> str:
        """The digest of everything the image is made from."""
        ...

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs to compile for it."""
        ...

    def image(self, workshop: BuildContext, scratch: Path) -> LayeredImage:
        """Make the image's layers.

        Args:
            workshop: the tools.
            scratch: an empty folder for them.
        """
        ...


def labels(key: str) -> Mapping[str, str]:
    """Return the labels of an image made from ``key``."""
    return {KEY_LABEL: key}
