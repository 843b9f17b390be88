"""Building the images of the catalogue from packages."""

from __future__ import annotations

from collections.abc import Sequence

from devstack.images.artifact_cache import ArtifactCache
from devstack.images.background_compiler import BackgroundCompiler
from devstack.images.build_context import BuildContext, Recipe
from devstack.images.catalogue import IMAGES, PRELOADED
from devstack.images.golang import Compiler
from devstack.images.kubernetes_versions import SUPPORTED, node_image
from devstack.images.programs import CLIENTS, PROGRAMS, Program
from devstack.images.recipes.airflow import AirflowImage
from devstack.images.recipes.argo import ArgoImage
from devstack.images.recipes.git import GitImage
from devstack.images.recipes.kubeflow import KubeflowImage
from devstack.images.recipes.metadata import MetadataImage
from devstack.images.recipes.minio import MinioImage
from devstack.images.recipes.node import ROOT, NodeImage, PartialImage
from devstack.images.recipes.postgres import PostgresImage
from devstack.images.recipes.program import ProgramImage
from devstack.images.recipes.rabbitmq import RabbitmqImage
from devstack.images.recipes.redis import RedisImage
from devstack.images.recipes.task import TaskImage
from devstack.images.recipes.xcom import XcomImage
from devstack.images.timed_progress import StepTime, TimedProgress
from devstack.process import Runner
from devstack.progress import Progress, step

RECIPES: dict[str, Recipe] = {
    # Those without compiled programs come first: they are built while Go compiles.
    "task": TaskImage(),
    "airflow": AirflowImage(),
    "metadata": MetadataImage(),
    "kubeflow": KubeflowImage(),
    "postgres": PostgresImage(),
    "xcom": XcomImage(),
    "rabbitmq": RabbitmqImage(),
    "redis": RedisImage(),
    "git": GitImage(),
    "jobset": ProgramImage(IMAGES["jobset"].reference, "jobset"),
    "gang": ProgramImage(IMAGES["gang"].reference, "gang"),
    "node-agent": ProgramImage(IMAGES["node-agent"].reference, "node-agent", ROOT),
    "metrics-server": ProgramImage(IMAGES["metrics-server"].reference, "metrics-server"),
    "network-policies": ProgramImage(
        IMAGES["network-policies"].reference, "network-policies", ROOT
    ),
    "registry": ProgramImage(IMAGES["registry"].reference, "registry"),
    "argo": ArgoImage(),
    "argoexec": ProgramImage(IMAGES["argoexec"].reference, "argoexec"),
    "argo-events": ProgramImage(IMAGES["argo-events"].reference, "argo-events"),
    "nats": ProgramImage(IMAGES["nats"].reference, "nats-server"),
    "minio": MinioImage(),
}
"""The recipe of each image except the node's, in the order in which they are built."""
FIRST_COMPILED, LAST_COMPILED = "jobset", "minio"
"""The first image that waits for Go, and the last one."""
NODES = {
    node_image(minor): NodeImage(version, [RECIPES[name] for name in PRELOADED])
    for minor, version in SUPPORTED.items()
}
"""The recipe of each node image."""


def image_key(name: str) -> str:
    """Return the digest of everything that the image called ``name`` is made from."""
    return NODES[name].key if name in NODES else RECIPES[name].key


def image_keys(name: str) -> set[str]:
    """Return the digests that an up-to-date image called ``name`` may have.

    A node image without the stack's own images inside has one of its own.
    """
    return {image_key(name)} | ({NODES[name].kubernetes_key} if name in NODES else set())


def build_images(
    names: Sequence[str],
    runner: Runner,
    progress: Progress,
    cache: ArtifactCache,
    preload: bool = True,
) -> list[StepTime]:
    """Build images and load them into Docker; return the duration of each step.

    Args:
        names: the images.
        runner: starts programs.
        progress: reports the steps.
        cache: stores artifacts.
        preload: False for node images without the stack's own images inside.

    Raises:
        DevstackError: a program does not compile, or packages cannot be installed.
    """
    timed = TimedProgress(progress)
    programs = [PROGRAMS[name] for name in programs_of(names, preload)]
    compiler = _start_compiler(programs, runner, timed, cache)
    with compiler, cache.scratch("images") as scratch:
        context = BuildContext(runner, timed, cache, compiler, scratch)
        try:
            _build_all(names, context, preload)
        finally:
            context.remove_temporary_images()
    return sorted(timed.times, key=lambda each: each.start)


def _build_all(names: Sequence[str], context: BuildContext, preload: bool) -> None:
    nodes = {name: node for name, node in NODES.items() if name in names}
    partial: dict[str, PartialImage] = {}
    for name in RECIPES:
        if nodes and name == FIRST_COMPILED:
            next(iter(nodes.values())).install_debian(context)
        if preload and name == LAST_COMPILED:
            partial = {each: node.build_compiled(context) for each, node in nodes.items()}
        if name in names:
            _load(context, name)
    for name, node in nodes.items():
        if preload:
            node.build(context, partial.get(name))
        else:
            context.docker.tag(node.build_kubernetes(context), IMAGES[name].reference)


def _start_compiler(
    programs: Sequence[Program], runner: Runner, timed: TimedProgress, cache: ArtifactCache
) -> BackgroundCompiler:
    missing = any(not cache.have(program.name, program.key) for program in programs)
    progress = timed.branch("Go") if missing else timed
    return BackgroundCompiler(Compiler(runner, progress, cache), cache, programs)


def programs_of(names: Sequence[str], preload: bool = True) -> list[str]:
    """Return the names of the programs that images need.

    Args:
        names: the images.
        preload: False for node images without the stack's own images inside.
    """
    images = [name for name in names if name in RECIPES]
    nodes = [NODES[name] for name in NODES if name in names]
    wanted = [program for node in nodes for program in node.programs]
    if nodes:
        # The clients share most packages with the node's programs.
        wanted += CLIENTS
        images += PRELOADED if preload else ()
    wanted += [program for name in images for program in RECIPES[name].programs]
    return list(dict.fromkeys(wanted))


def _load(context: BuildContext, name: str) -> None:
    with step(context.progress, f"Build the {name} image"):
        context.docker.load_images(context.archive(RECIPES[name]))
