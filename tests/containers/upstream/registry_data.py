"""The contents of a registry with all stand-ins, made once and kept in the cache.

`python -m tests.containers` makes them before the tests.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devstack.images.archive import LayeredImage, write_images
from devstack.images.artifact_cache import ArtifactCache, digest
from devstack.images.background_compiler import BackgroundCompiler
from devstack.images.build_context import BuildContext
from devstack.images.golang import Compiler
from devstack.images.programs import PROGRAMS
from devstack.images.recipes import node as own
from devstack.process import SubprocessRunner
from devstack.progress import Progress, Silent
from tests.containers.upstream import images, node
from tests.containers.upstream.references import Reference, published
from tests.support.registry import INDEX, MANIFEST, Registry

NAME = "upstream-registry"
DATA, LIST = "data", "upstream.toml"


def registry_key() -> str:
    """Return the digest of everything that the stand-ins are made from."""
    used = [*node.programs(), node.KINDNETD, node.PROVISIONER]
    used += [PROGRAMS[name] for name in images.PROGRAM_NAMES]
    systems = (node.FILES, images.POSTGRES, images.PYTHON)
    names = (f"{name} {reference.full}" for name, reference in published().items())
    folder = Path(__file__).parent
    sources = [folder / name for name in ("images.py", "import-images", "node.py", "rootfs")]
    sources += [own.NODE / "rootfs" / name for name in node.OWN_FILES]
    return digest(*sources, *names, *(each.key for each in (*used, *systems)))


def ensure_registry_data(progress: Progress | None = None) -> Path:
    """Return a folder with the registry's DATA and with LIST, which devstack reads.

    Args:
        progress: reports the steps if they have to be made.
    """
    cache = ArtifactCache()
    key = registry_key()
    if not cache.have(NAME, key):
        with cache.lock(progress or Silent()):
            cache.make(NAME, key, lambda path: _fill(path, cache, progress or Silent()))
    return cache.path(NAME, key)


def _fill(path: Path, cache: ArtifactCache, progress: Progress) -> None:
    path.mkdir()
    with _context(cache, progress) as context, cache.scratch("upstream-images") as scratch:
        server = scratch / "server"
        with Registry(server, data=path / DATA) as registry:
            entries = dict(_push_all(registry, context, scratch))
    (path / LIST).write_text("\n".join(entries.values()))
    shutil.rmtree(path / DATA / "docker" / "registry" / "v2" / "uploads", ignore_errors=True)


@contextmanager
def _context(cache: ArtifactCache, progress: Progress) -> Iterator[BuildContext]:
    runner = SubprocessRunner()
    compiler = Compiler(runner, progress, cache)
    wanted = [*node.programs(), *(PROGRAMS[name] for name in images.PROGRAM_NAMES)]
    background = BackgroundCompiler(compiler, cache, wanted)
    with background, cache.scratch("upstream-build") as scratch:
        context = BuildContext(runner, progress, cache, background, scratch)
        try:
            yield context
        finally:
            context.remove_temporary_images()


def _push_all(
    registry: Registry, context: BuildContext, scratch: Path
) -> Iterator[tuple[str, str]]:
    for name, reference in published().items():
        if name in images.BUILDERS:
            folder = scratch / name
            folder.mkdir()
            image = images.BUILDERS[name](context, folder)
            source = _archive(image, folder)
        else:
            folder = scratch / "node"
            folder.mkdir()
            programs = [node.KINDNETD, node.PROVISIONER]
            stand_ins = Compiler(context.runner, context.progress, context.cache).ensure(programs)
            source = node.build_node(context, folder, stand_ins)
        made = registry.add(source, reference.path, index=True)
        shutil.rmtree(folder)
        yield name, _table(name, reference, made, _size(registry, reference.repository, made))


def _archive(image: LayeredImage, folder: Path) -> str:
    path = folder / "image.tar"
    write_images(path, [LayeredImage("stand-in:1", image.layers, image.config)])
    return f"docker-archive:{path}"


def _table(name: str, reference: Reference, made: str, size: int) -> str:
    return (
        f'["{name}"]\nreference = "{reference.full}"\ndigest = "{made}"\n'
        f'platforms = ["linux/amd64"]\nsize = {size}\nverified = "made by the tests"\n'
    )


def _size(registry: Registry, repository: str, digest: str) -> int:
    """Return how many bytes a pull downloads."""
    index = json.loads(registry.request(f"{repository}/manifests/{digest}", accept=INDEX))
    one = index["manifests"][0]["digest"]
    manifest = json.loads(registry.request(f"{repository}/manifests/{one}", accept=MANIFEST))
    return sum(each["size"] for each in (manifest["config"], *manifest["layers"]))
