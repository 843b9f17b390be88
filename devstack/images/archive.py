"""Writing images as archives that `docker load` and `ctr images import` read."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from devstack.images.machine import architecture

BLOCK = 1 << 20


class Layer:
    """A layer that is being written: a tar archive, byte for byte the same for equal contents.

    Args:
        path: the archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._folders: set[str] = set()

    def __enter__(self) -> Layer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tar.close()

    def folder(self, name: str, mode: int = 0o755, owner: int = 0) -> None:
        """Add a folder; the parents of files are added automatically."""
        if name in self._folders or name == ".":
            return
        self._parent(name)
        self._folders.add(name)
        entry = self._entry(name, tarfile.DIRTYPE, mode, owner)
        self._tar.addfile(entry)

    def file(self, name: str, content: Path | bytes, mode: int = 0o644) -> None:
        """Add a file, from a path or from memory."""
        self._parent(name)
        entry = self._entry(name, tarfile.REGTYPE, mode)
        if isinstance(content, bytes):
            entry.size = len(content)
            self._tar.addfile(entry, io.BytesIO(content))
            return
        entry.size = content.stat().st_size
        with content.open("rb") as source:
            self._tar.addfile(entry, source)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._parent(name)
        entry = self._entry(name, tarfile.SYMTYPE, 0o777)
        entry.linkname = target
        self._tar.addfile(entry)

    def tree(self, source: Path, below: str = "") -> None:
        """Add the files of a folder; executable ones stay executable."""
        for path in sorted(source.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
                name = path.relative_to(source).as_posix()
                self.file(f"{below}/{name}" if below else name, path, mode)

    def archive(self, source: Path, without: Collection[str] = ()) -> None:
        """Add the contents of another tar archive, except files and folders named ``without``."""
        with tarfile.open(source) as other:
            for entry in other:
                if not set(without).isdisjoint(Path(entry.name).parts):
                    continue
                # Docker rejects a layer that contains a name twice.
                self._folders.add(str(Path(entry.name)))
                self._tar.addfile(entry, other.extractfile(entry) if entry.isreg() else None)

    def _parent(self, name: str) -> None:
        self.folder(str(Path(name).parent))

    def _entry(self, name: str, kind: bytes, mode: int, owner: int = 0) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = kind, mode
        entry.uid = entry.gid = owner
        return entry


@dataclass(frozen=True)
class LayeredImage:
    """An image: its reference, its layers from the lowest to the highest, its configuration.

    Attributes:
        reference: name and tag.
        layers: tar archives.
        config: the ``config`` object of the OCI image specification
            (``Entrypoint``, ``Env``, ``User``, ``Labels`` ...).
    """

    reference: str
    layers: Sequence[Path]
    config: Mapping[str, object] = field(default_factory=dict)


def write_images(path: Path, images: Iterable[LayeredImage]) -> None:
    """Write images into one archive; a layer of several images is written once."""
    listing = []
    written: dict[Path, str] = {}
    with tarfile.open(path, "w") as tar:
        for image in images:
            for layer in image.layers:
                if layer not in written:
                    written[layer] = _sha256(layer)
                    tar.add(layer, _layer_name(written[layer]), filter=_anonymous)
            digests = [written[layer] for layer in image.layers]
            config = json.dumps(_config(image, digests), sort_keys=True).encode()
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add(tar, name, config)
            listing.append(
                {
                    "Config": name,
                    "RepoTags": [image.reference],
                    "Layers": [_layer_name(each) for each in digests],
                }
            )
        _add(tar, "manifest.json", json.dumps(listing).encode())


def _config(image: LayeredImage, digests: Sequence[str]) -> dict[str, object]:
    return {
        "architecture": architecture(),
        "os": "linux",
        "config": dict(image.config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{each}" for each in digests]},
        "history": [{"created_by": "devstack images build"} for _ in digests],
    }


def _layer_name(sha256: str) -> str:
    return f"{sha256}/layer.tar"


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _sha256(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            total.update(block)
    return total.hexdigest()
