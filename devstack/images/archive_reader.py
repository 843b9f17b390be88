"""Reading archives of images, as `docker save` and OCI tools write them.

:class:`ImageArchive` writes them again as an OCI image layout that contains only some of the
layers, because a node that has the others needs no copy of them.

Source: OCI image specification, "Image Layout" and "Image Manifest"; for ``manifest.json``, the
Docker image specification v1.2.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from devstack.errors import DevstackError, ExitStatus
from devstack.image_names import complete, familiar
from devstack.images.machine import architecture

BLOCK = 1 << 20
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_NAME = "io.containerd.image.name"
_DAMAGED = (
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    ValueError,
    # Tables of another shape, and links that lead to themselves.
    AttributeError,
    LookupError,
    OverflowError,
    RecursionError,
    TypeError,
)
_COMPRESSIONS = {b"\x1f\x8b": "+gzip", b"\x28\xb5\x2f\xfd": "+zstd"}


@dataclass(frozen=True)
class ArchivedLayer:
    """A layer of an image in an archive.

    Attributes:
        offset: where it begins in the archive, in bytes.
        size: its length in bytes.
        digest: of these bytes.
        media_type: how they are packed.
        chain: identifies the layer together with all below it, as containerd names snapshots.
    """

    offset: int
    size: int
    digest: str
    media_type: str
    chain: str


@dataclass(frozen=True)
class ArchivedImage:
    """An image in an archive.

    Attributes:
        references: its names, in the familiar form.
        config: its configuration, as JSON.
        layers: from the lowest to the highest.
    """

    references: tuple[str, ...]
    config: bytes
    layers: tuple[ArchivedLayer, ...]

    @property
    def id(self) -> str:
        """The digest of its configuration, which identifies it on a node."""
        return _digest(self.config)

    @property
    def size(self) -> int:
        """The bytes of its layers."""
        return sum(layer.size for layer in self.layers)

    def manifest(self) -> bytes:
        """Return its OCI manifest."""
        layers = [_descriptor(layer.media_type, layer.digest, layer.size) for layer in self.layers]
        config = _descriptor(_CONFIG_TYPE, self.id, len(self.config))
        return _json(
            {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": layers}
        )


@dataclass(frozen=True)
class ImageArchive:
    """A file with images.

    Attributes:
        path: the file, not compressed.
        images: what it contains.
    """

    path: Path
    images: tuple[ArchivedImage, ...]

    @property
    def references(self) -> tuple[str, ...]:
        """The names of all images."""
        return tuple(name for image in self.images for name in image.references)

    def missing_bytes(self, chains: Collection[str]) -> int:
        """Return how many bytes of layers :meth:`stream` sends."""
        return sum(layer.size for layer in self._layers(chains))

    def stream(self, chains: Collection[str] = ()) -> Iterator[bytes]:
        """Yield a tar archive in OCI layout without the layers whose chain is in ``chains``."""
        yield from _entry("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        yield from _entry("index.json", self._index())
        yield from _entry("manifest.json", self._docker_manifest())
        for image in self.images:
            for content in (image.manifest(), image.config):
                yield from _entry(_blob(_digest(content)), content)
        with self.path.open("rb") as file:
            for layer in self._layers(chains):
                yield _header(_blob(layer.digest), layer.size)
                yield from _read(file, layer.offset, layer.size)
                yield _padding(layer.size)
        yield bytes(2 * tarfile.BLOCKSIZE)

    def _docker_manifest(self) -> bytes:
        """Return the table that releases of Docker without OCI layouts read."""
        return _json(
            [
                {
                    "Config": _blob(image.id),
                    "RepoTags": list(image.references),
                    "Layers": [_blob(layer.digest) for layer in image.layers],
                }
                for image in self.images
            ]
        )

    def _layers(self, chains: Collection[str]) -> list[ArchivedLayer]:
        wanted = (
            layer for image in self.images for layer in image.layers if layer.chain not in chains
        )
        return list({layer.digest: layer for layer in wanted}.values())

    def _index(self) -> bytes:
        manifests = []
        for image in self.images:
            manifest = image.manifest()
            described = _descriptor(MANIFEST_TYPE, _digest(manifest), len(manifest))
            manifests += [
                {**described, "annotations": {_NAME: complete(name)}} for name in image.references
            ]
        return _json({"schemaVersion": 2, "manifests": manifests})


def read_archive(path: Path, scratch: Path, name: str = "") -> ImageArchive:
    """Read what an archive contains; its layers are not read.

    Args:
        path: the file, which may be compressed by gzip.
        scratch: an empty folder, for the decompressed file.
        name: what to call its only image; by default, what the archive calls it.

    Raises:
        DevstackError: ``IMAGE_FILE_INVALID``, ``IMAGE_UNNAMED`` or ``IMAGE_ARCHITECTURE``.
    """
    try:
        plain = _decompressed(path, scratch)
        with tarfile.open(plain, "r:") as tar:
            images = _Reader(path, tar).images()
    except _DAMAGED as error:
        raise _invalid(path, f"it is damaged, or no archive: {error}") from error
    except OSError as error:
        raise unreadable(path, error) from error
    if not images:
        raise _invalid(path, "it contains no image")
    if name and len(images) != 1:
        raise _invalid(path, f"it contains {len(images)} images, so --tag cannot name one")
    if name:
        images = [ArchivedImage((familiar(name),), images[0].config, images[0].layers)]
    for image in images:
        _require_usable(path, image)
    return ImageArchive(plain, tuple(images))


def unreadable(path: Path, error: OSError) -> DevstackError:
    """Return the error for a file that the system does not let this user read."""
    cause = f"it cannot be read: {error.strerror}"
    return _invalid(path, cause, "correct that, and add it again")


class _Reader:
    """Reads the tables of an archive."""

    def __init__(self, path: Path, tar: tarfile.TarFile) -> None:
        self._path = path
        self._tar = tar
        self._members = {posixpath.normpath(each.name): each for each in tar}

    def images(self) -> list[ArchivedImage]:
        """Return the images of either table; Docker's has the names."""
        if "manifest.json" in self._members:
            entries = json.loads(self._content("manifest.json"))
            if isinstance(entries, dict):
                remedy = f"devstack images load {self._path}"
                raise _invalid(self._path, "it is a bundle of `devstack images save`", remedy)
            return [
                self._image(each.get("RepoTags") or [], each["Config"], each["Layers"])
                for each in entries
            ]
        if "index.json" in self._members:
            index = json.loads(self._content("index.json"))
            return [self._from_oci(each) for each in index["manifests"]]
        raise self._other()

    def _from_oci(self, described: Mapping[str, Any]) -> ArchivedImage:
        notes = described.get("annotations") or {}
        found = notes.get(_NAME) or notes.get("org.opencontainers.image.ref.name") or ""
        manifest = json.loads(self._content(_blob(described["digest"])))
        if "manifests" in manifest:
            manifest = self._of_this_machine(manifest["manifests"])
        layers = [_blob(each["digest"]) for each in manifest["layers"]]
        # A tag without a name is no reference.
        names = [found] if found and ("/" in found or ":" in found) else []
        return self._image(names, _blob(manifest["config"]["digest"]), layers)

    def _of_this_machine(self, manifests: Sequence[Mapping[str, Any]]) -> Any:
        platforms = [(each.get("platform") or {}).get("architecture", "") for each in manifests]
        if architecture() not in platforms:
            raise _architecture(self._path, " and ".join(filter(None, platforms)))
        chosen = manifests[platforms.index(architecture())]
        return json.loads(self._content(_blob(chosen["digest"])))

    def _image(self, names: Sequence[str], config: str, layers: Sequence[str]) -> ArchivedImage:
        content = self._content(config)
        diffs = json.loads(content)["rootfs"]["diff_ids"]
        if len(diffs) != len(layers):
            raise ValueError("its configuration names other layers")
        found = []
        chain = ""
        for diff, layer in zip(diffs, layers, strict=True):
            chain = _digest(f"{chain} {diff}".encode()) if chain else diff
            found.append(self._layer(layer, diff, chain))
        return ArchivedImage(tuple(familiar(each) for each in names), content, tuple(found))

    def _layer(self, name: str, diff: str, chain: str) -> ArchivedLayer:
        member = self._member(name)
        with self._path_of_tar().open("rb") as file:
            file.seek(member.offset_data)
            start = file.read(4)
            packing = next(
                (kind for magic, kind in _COMPRESSIONS.items() if start.startswith(magic)), ""
            )
            digest = diff
            if packing:
                total = hashlib.sha256()
                for block in _read(file, member.offset_data, member.size):
                    total.update(block)
                digest = f"sha256:{total.hexdigest()}"
        return ArchivedLayer(
            member.offset_data, member.size, digest, f"{_LAYER_TYPE}{packing}", chain
        )

    def _path_of_tar(self) -> Path:
        return Path(str(self._tar.name))

    def _content(self, name: str) -> bytes:
        file = self._tar.extractfile(self._member(name))
        if file is None:
            raise ValueError(f"{name} is no file")
        return file.read()

    def _member(self, name: str) -> tarfile.TarInfo:
        name = posixpath.normpath(name)
        if name not in self._members:
            raise ValueError(f"{name} is missing")
        member = self._members[name]
        if member.issym():
            return self._member(posixpath.join(posixpath.dirname(name), member.linkname))
        return self._member(member.linkname) if member.islnk() else member

    def _other(self) -> DevstackError:
        if {"bin", "usr", "etc"} & {name.partition("/")[0] for name in self._members}:
            remedy = (
                f"make an image of it: docker import {self._path} NAME:TAG, "
                "then devstack images add NAME:TAG"
            )
            return _invalid(self._path, "it contains a file system, not an image", remedy)
        return _invalid(self._path, "it contains no image")


def _decompressed(path: Path, scratch: Path) -> Path:
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return path
    plain = scratch / "image.tar"
    with gzip.open(path) as source, plain.open("wb") as target:
        shutil.copyfileobj(source, target, BLOCK)
    return plain


def _require_usable(path: Path, image: ArchivedImage) -> None:
    if not image.references:
        raise DevstackError(
            f"cannot add {path}",
            cause="the image in it has no name",
            remedy=f"give it one: devstack images add {path} --tag NAME:TAG",
            code="IMAGE_UNNAMED",
            exit_status=ExitStatus.USAGE,
        )
    own = json.loads(image.config).get("architecture") or architecture()
    if own != architecture():
        raise _architecture(path, own)


def _architecture(path: Path, found: str) -> DevstackError:
    return DevstackError(
        f"cannot add {path}",
        cause=f"the image is for {found}, and the nodes are {architecture()}",
        remedy=f"build it with --platform linux/{architecture()}, and add it again",
        code="IMAGE_ARCHITECTURE",
        exit_status=ExitStatus.USAGE,
    )


def _invalid(path: Path, cause: str, remedy: str = "") -> DevstackError:
    return DevstackError(
        f"cannot add {path}",
        cause=cause,
        remedy=remedy or f"write the image again: docker save NAME:TAG --output {path}",
        code="IMAGE_FILE_INVALID",
        exit_status=ExitStatus.USAGE,
    )


def _read(file: IO[bytes], offset: int, size: int) -> Iterator[bytes]:
    file.seek(offset)
    while size > 0:
        block = file.read(min(size, BLOCK))
        if not block:
            raise EOFError("it is cut off")
        size -= len(block)
        yield block


def _entry(name: str, content: bytes) -> Iterator[bytes]:
    yield _header(name, len(content))
    yield content
    yield _padding(len(content))


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _blob(digest: str) -> str:
    kind, _, value = digest.partition(":")
    return f"blobs/{kind}/{value}"


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size}


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
