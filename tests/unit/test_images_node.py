"""The node image is built while Go still compiles what goes into it last."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from devstack.images import build as recipes
from devstack.images.archive import LayeredImage
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.background_compiler import BackgroundCompiler
from devstack.images.build_context import BuildContext
from devstack.images.catalogue import IMAGES, PRELOADED
from devstack.images.golang import Compiler
from devstack.images.kubernetes_versions import DEFAULT, SUPPORTED
from devstack.images.programs import PROGRAMS
from devstack.images.recipes.node import NodeImage
from tests.fakes.runner import Call, FakeRunner, Recorder


@dataclass
class Tiny:
    """An image without contents."""

    key: str
    programs: tuple[str, ...] = ()

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        return LayeredImage(f"devstack/{self.key}:1", ())


@pytest.fixture
def commits() -> list[tuple[str, list[str], str]]:
    return []


@pytest.fixture
def context(tmp_path: Path, commits: list[tuple[str, list[str], str]]) -> BuildContext:
    """A build in which Docker has the first two steps of the node image."""
    runner, cache = FakeRunner(), ArtifactCache(tmp_path)
    container: list[object] = []

    def run(call: Call) -> None:
        files = Path(call.argv[call.argv.index("--volume") + 1].split(":")[0])
        image = call.argv[call.argv.index("--entrypoint") + 2]
        container[:] = [image, sorted(each.name for each in files.iterdir())]

    found = [
        json.dumps({"RepoTags": [reference]}) for reference in recipes.NODES["node"].references
    ]
    runner.answer("docker", "image", "inspect", stdout="\n".join(found))
    runner.answer("docker", "run", effect=run)
    runner.answer(
        "docker", "commit", effect=lambda call: commits.append((*container, call.argv[-1]))
    )
    for command in (("rm",), ("rmi",), ("image", "prune")):
        runner.answer("docker", *command)
    compiler = BackgroundCompiler(Compiler(runner, Recorder(), cache), cache, ())
    scratch = tmp_path / "archives"
    scratch.mkdir()
    return BuildContext(runner, Recorder(), cache, compiler, scratch)


def test_images_whose_programs_are_compiled_are_imported_before_the_last(
    context: BuildContext, commits: list[tuple[str, list[str], str]]
) -> None:
    node = NodeImage(SUPPORTED[DEFAULT], [Tiny("late", ("minio",)), Tiny("task"), Tiny("xcom")])
    partial = node.build_compiled(context)
    minio = PROGRAMS["minio"]
    program = context.cache.path("minio", minio.key)
    program.parent.mkdir(parents=True)
    program.write_text("minio")
    node.build(context, partial)
    (base, early, first), (between, late, last) = commits
    assert base == recipes.NODES["node"].references[1]
    assert early == ["task.tar", "xcom.tar"]
    assert between == first != last == IMAGES["node"].reference
    assert late == ["late.tar"]
    context.remove_temporary_images()
    assert ("docker", "rmi", first) in context.runner.argvs  # type: ignore[attr-defined]


def test_with_everything_compiled_the_images_are_imported_at_once(
    context: BuildContext, commits: list[tuple[str, list[str], str]]
) -> None:
    node = NodeImage(SUPPORTED[DEFAULT], [Tiny("task"), Tiny("xcom")])
    node.build(context, node.build_compiled(context))
    assert [(files, target) for _, files, target in commits] == [
        (["task.tar", "xcom.tar"], IMAGES["node"].reference)
    ]


def test_what_is_compiled_last_is_needed_by_the_last_image() -> None:
    """So that everything else of the node is built meanwhile."""
    order = [name for name in recipes.RECIPES if recipes.RECIPES[name].programs]
    assert (order[0], order[-1]) == (recipes.FIRST_COMPILED, recipes.LAST_COMPILED)
    assert set(PRELOADED) >= {recipes.LAST_COMPILED}
    assert list(PROGRAMS)[-1] == recipes.LAST_COMPILED
