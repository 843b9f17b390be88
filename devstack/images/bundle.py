"""Bundles: one file with everything that `up --offline` needs.

A bundle is a tar archive: ``manifest.json`` first, which lists the other members
with their checksums, then the images as Docker writes them, kind and kubectl.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from devstack.docker.podman_client import engine_client
from devstack.errors import DevstackError, ExitStatus
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.catalogue import IMAGES, find_images
from devstack.images.machine import architecture
from devstack.images.programs import CLIENTS, PROGRAMS
from devstack.process import Runner
from devstack.progress import Progress, step
from devstack.version import devstack_version

FORMAT = 1
MANIFEST = "manifest.json"
IMAGES_MEMBER = "images.tar"
BLOCK = 1 << 20


def save(
    path: Path,
    names: Sequence[str],
    clients: Mapping[str, Path],
    runner: Runner,
    progress: Progress,
    cache: ArtifactCache,
) -> None:
    """Write a bundle with images of Docker, kind and kubectl.

    Args:
        path: the file; it appears when it is complete.
        names: the images.
        clients: the programs kind and kubectl, by name.
        runner: starts Docker.
        progress: reports the steps.
        cache: provides a scratch folder.

    Raises:
        DevstackError: ``BUNDLE_UNWRITABLE``.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with step(progress, f"Write {path}"), cache.scratch("bundle") as scratch:
            images = scratch / IMAGES_MEMBER
            progress.note("exporting images from Docker")
            engine_client(runner).save_images(
                images, [image.reference for image in find_images(names)]
            )
            _write(unfinished, names, {IMAGES_MEMBER: images, **clients})
            unfinished.replace(path)
    except OSError as error:
        raise DevstackError(
            f"cannot write the bundle {path}",
            cause=error.strerror or str(error),
            remedy="free disk space: a bundle has about 4 GB, and writing it needs as much again",
            code="BUNDLE_UNWRITABLE",
            exit_status=ExitStatus.ENVIRONMENT,
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def load(path: Path, runner: Runner, progress: Progress, cache: ArtifactCache) -> list[str]:
    """Load a bundle's images into Docker and its clients into the cache.

    Everything is checked before anything is loaded.

    Args:
        path: the bundle.
        runner: starts Docker.
        progress: reports the steps.
        cache: stores kind and kubectl.

    Returns:
        The names of the images.

    Raises:
        DevstackError: ``BUNDLE_MISSING``, ``BUNDLE_CORRUPT`` or
            ``BUNDLE_ARCHITECTURE``.
    """
    if not path.is_file():
        raise _error(path, "there is no such file", "BUNDLE_MISSING")
    with step(progress, f"Load {path}"), cache.scratch("bundle") as scratch:
        manifest = _extract(path, scratch, progress)
        progress.note("loading images into Docker")
        engine_client(runner).load_images(scratch / IMAGES_MEMBER)
        for name in CLIENTS:
            client = scratch / name
            client.chmod(0o755)
            cache.add(name, PROGRAMS[name].key, client)
    return [str(name) for name in manifest["images"]]


def _write(path: Path, names: Sequence[str], members: dict[str, Path]) -> None:
    manifest = {
        "format": FORMAT,
        "devstack": devstack_version(),
        "architecture": architecture(),
        "images": {name: IMAGES[name].reference for name in names},
        "files": {name: _sha256(file) for name, file in members.items()},
    }
    content = json.dumps(manifest, indent=2).encode()
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo(MANIFEST)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
        for name, file in members.items():
            tar.add(file.resolve(), name)


def _extract(path: Path, into: Path, progress: Progress) -> dict[str, Any]:
    try:
        with tarfile.open(path) as tar:
            manifest = _manifest(path, tar)
            for name in (IMAGES_MEMBER, *CLIENTS):
                progress.note(f"checking {name}")
                if _copy(tar, name, into / name) != manifest["files"][name]:
                    raise _corrupt(path, f"the checksum of {name} is wrong")
    except (tarfile.TarError, KeyError, ValueError, EOFError) as error:
        raise _corrupt(path, str(error)) from error
    return manifest


def _manifest(path: Path, tar: tarfile.TarFile) -> dict[str, Any]:
    first = tar.next()
    content = tar.extractfile(first) if first and first.name == MANIFEST else None
    if content is None:
        raise _corrupt(path, f"it does not begin with {MANIFEST}")
    manifest: dict[str, Any] = json.loads(content.read())
    if manifest["format"] != FORMAT:
        raise _corrupt(path, f"it has format {manifest['format']}, this devstack reads {FORMAT}")
    if manifest["architecture"] != architecture():
        cause = f"it is for {manifest['architecture']}, this machine is {architecture()}"
        raise _error(path, cause, "BUNDLE_ARCHITECTURE")
    return manifest


def _copy(tar: tarfile.TarFile, name: str, target: Path) -> str:
    source = tar.extractfile(name)
    if source is None:
        raise KeyError(f"{name} is no file")
    total = hashlib.sha256()
    with target.open("wb") as file:
        while block := source.read(BLOCK):
            total.update(block)
            file.write(block)
    return total.hexdigest()


def _sha256(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            total.update(block)
    return total.hexdigest()


def _corrupt(path: Path, cause: str) -> DevstackError:
    return _error(path, f"it is damaged, or not a bundle: {cause}", "BUNDLE_CORRUPT")


def _error(path: Path, cause: str, code: str) -> DevstackError:
    return DevstackError(
        f"cannot load the bundle {path}",
        cause=cause,
        remedy="write it again with `devstack images save FILE` on a machine with a network "
        "and this architecture, and copy it completely",
        code=code,
    )
