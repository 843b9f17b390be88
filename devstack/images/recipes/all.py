"""How each image of the catalogue is built from packages."""

from __future__ import annotations

from collections.abc import Sequence

from devstack.images.build_context import BuildContext, Recipe
from devstack.images.catalogue import IMAGES, PRELOADED
from devstack.images.golang import PROGRAMS
from devstack.images.recipes.airflow import AirflowImage
from devstack.images.recipes.metadata import MetadataImage
from devstack.images.recipes.minio import MinioImage
from devstack.images.recipes.node import NodeImage
from devstack.images.recipes.postgres import PostgresImage
from devstack.images.recipes.program import ProgramImage
from devstack.images.recipes.task import TaskImage
from devstack.images.recipes.xcom import XcomImage

RECIPES: dict[str, Recipe] = {
    "minio": MinioImage(),
    "jobset": ProgramImage(IMAGES["jobset"].reference, "jobset"),
    "gang": ProgramImage(IMAGES["gang"].reference, "gang"),
    "task": TaskImage(),
    "postgres": PostgresImage(),
    "metadata": MetadataImage(),
    "airflow": AirflowImage(),
    "xcom": XcomImage(),
}
NODE = NodeImage([RECIPES[name] for name in PRELOADED])


def key(name: str) -> str:
    """Return the digest of everything that the image called ``name`` is made from."""
    return NODE.key if name == "node" else RECIPES[name].key


def build(workshop: BuildContext, names: Sequence[str]) -> None:
    """Build the images called ``names`` and leave them in Docker.

    All programs are compiled first, in few batches, so that packages which
    several of them use are compiled once.
    """
    workshop.compiler.ensure(PROGRAMS[name] for name in _programs(names))
    for name in sorted(names, key="node".__eq__):
        if name == "node":
            NODE.build(workshop)
        else:
            _build_one(workshop, RECIPES[name])


def _programs(names: Sequence[str]) -> list[str]:
    wanted = [program for name in names if name != "node" for program in RECIPES[name].programs]
    if "node" in names:
        preloaded = [program for name in PRELOADED for program in RECIPES[name].programs]
        # The clients come along: they are compiled from the same packages.
        wanted += [*NODE.programs, *preloaded, "kind", "kubectl"]
    return list(dict.fromkeys(wanted))


def _build_one(workshop: BuildContext, recipe: Recipe) -> None:
    with workshop.pieces.scratch("image") as scratch:
        workshop.load(recipe.image(workshop, scratch), scratch)
