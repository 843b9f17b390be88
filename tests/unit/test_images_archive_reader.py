"""Archives as Docker, OCI tools and users write them; and what is written of them for a node."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from devstack.errors import DevstackError
from devstack.images.archive_reader import ImageArchive, read_archive
from devstack.images.machine import architecture


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_tar(
    path: Path, members: Mapping[str, bytes], links: Mapping[str, str] | None = None
) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return path


LOWER, UPPER = b"lower layer" * 100, b"upper layer" * 50


def config(*layers: bytes, arch: str = "") -> bytes:
    diffs = [f"sha256:{sha256(layer)}" for layer in layers]
    rootfs = {"type": "layers", "diff_ids": diffs}
    return json.dumps({"architecture": arch or architecture(), "rootfs": rootfs}).encode()


def docker_archive(
    path: Path, *tags: str, arch: str = "", layers: tuple[bytes, bytes] = (LOWER, UPPER)
) -> Path:
    """Write what `docker save` of release 20.10 writes; the table comes last."""
    lower, upper = layers
    made = config(lower, upper, arch=arch)
    entry = {
        "Config": f"{sha256(made)}.json",
        "RepoTags": list(tags) or None,
        "Layers": ["aa/layer.tar", "bb/layer.tar"],
    }
    members = {
        "bb/layer.tar": upper,
        "cc/layer.tar": lower,
        f"{sha256(made)}.json": made,
        "manifest.json": json.dumps([entry]).encode(),
    }
    # A layer that another image has as well is a link.
    return write_tar(path, members, {"aa/layer.tar": "../cc/layer.tar"})


def oci_archive(path: Path, annotations: Mapping[str, str], *, platforms: bool = False) -> Path:
    """Write an OCI layout with one compressed layer."""
    packed = gzip.compress(LOWER)
    made = config(LOWER)
    blobs = {sha256(packed): packed, sha256(made): made}

    def blob(content: Any) -> dict[str, Any]:
        data = json.dumps(content).encode()
        blobs[sha256(data)] = data
        return {"digest": f"sha256:{sha256(data)}", "size": len(data)}

    manifest = blob(
        {
            "config": {"digest": f"sha256:{sha256(made)}"},
            "layers": [{"digest": f"sha256:{sha256(packed)}"}],
        }
    )
    if platforms:
        attestation = {**blob({"layers": []}), "platform": {"architecture": "unknown"}}
        own = {**manifest, "platform": {"architecture": architecture()}}
        manifest = blob({"manifests": [attestation, own]})
    index = {"manifests": [{**manifest, "annotations": dict(annotations)}]}
    members = {f"blobs/sha256/{digest}": content for digest, content in blobs.items()}
    return write_tar(path, {**members, "index.json": json.dumps(index).encode()})


def written(archive: ImageArchive, chains: Collection[str] = ()) -> dict[str, bytes]:
    """Return the members of what a node gets; every blob has the digest in its name."""
    content = b"".join(archive.stream(chains))
    found = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            found[member.name] = file.read()
    for name, data in found.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{sha256(data)}"
    return found


def refused(path: Path, scratch: Path, name: str = "") -> DevstackError:
    with pytest.raises(DevstackError) as caught:
        read_archive(path, scratch, name)
    return caught.value


def test_an_archive_of_docker_is_written_with_all_its_layers(tmp_path: Path) -> None:
    archive = read_archive(docker_archive(tmp_path / "a.tar", "app:1", "team/app:2"), tmp_path)
    assert archive.references == ("app:1", "team/app:2")
    (image,) = archive.images
    assert image.id == f"sha256:{sha256(config(LOWER, UPPER))}"
    assert image.size == len(LOWER + UPPER)
    members = written(archive)
    manifests = json.loads(members["index.json"])["manifests"]
    names = [each["annotations"]["io.containerd.image.name"] for each in manifests]
    assert names == ["docker.io/library/app:1", "docker.io/team/app:2"]
    manifest = json.loads(members[f"blobs/sha256/{manifests[0]['digest'].removeprefix('sha256:')}"])
    contents = [members[f"blobs/sha256/{each['digest'][7:]}"] for each in manifest["layers"]]
    assert contents == [LOWER, UPPER]
    assert members[f"blobs/sha256/{image.id[7:]}"] == image.config


def test_layers_that_the_node_has_are_left_out(tmp_path: Path) -> None:
    archive = read_archive(docker_archive(tmp_path / "a.tar", "app:1"), tmp_path)
    lower, upper = archive.images[0].layers
    # Source: OCI image specification, "Layer ChainID".
    assert lower.chain == f"sha256:{sha256(LOWER)}"
    chain = f"{lower.chain} sha256:{sha256(UPPER)}"
    assert upper.chain == f"sha256:{sha256(chain.encode())}"
    members = written(archive, {lower.chain})
    assert UPPER in members.values()
    assert LOWER not in members.values()
    assert archive.missing_bytes({lower.chain}) == len(UPPER)


@pytest.mark.parametrize("platforms", [False, True], ids=["one platform", "an index of platforms"])
def test_an_oci_layout_keeps_its_compressed_layers(tmp_path: Path, platforms: bool) -> None:
    names = {"org.opencontainers.image.ref.name": "ghcr.io/team/app:3"}
    path = oci_archive(tmp_path / "a.tar", names, platforms=platforms)
    archive = read_archive(path, tmp_path)
    assert archive.references == ("ghcr.io/team/app:3",)
    (layer,) = archive.images[0].layers
    assert layer.media_type.endswith("tar+gzip")
    assert layer.chain == f"sha256:{sha256(LOWER)}"
    assert written(archive)[f"blobs/sha256/{layer.digest[7:]}"][:2] == b"\x1f\x8b"


def test_a_compressed_archive_is_decompressed(tmp_path: Path) -> None:
    plain = docker_archive(tmp_path / "a.tar", "app:1")
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert LOWER in written(read_archive(path, scratch)).values()


def test_an_image_without_a_name_gets_one_by_the_remedy(tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "a.tar")
    error = refused(path, tmp_path)
    assert error.code == "IMAGE_UNNAMED"
    assert "--tag NAME:TAG" in error.remedy
    assert read_archive(path, tmp_path, "app").references == ("app:latest",)


def test_a_tag_without_a_name_is_none(tmp_path: Path) -> None:
    path = oci_archive(tmp_path / "a.tar", {"org.opencontainers.image.ref.name": "v1"})
    assert refused(path, tmp_path).code == "IMAGE_UNNAMED"


def test_another_architecture_is_rejected(tmp_path: Path) -> None:
    error = refused(docker_archive(tmp_path / "a.tar", "app:1", arch="s390x"), tmp_path)
    assert error.code == "IMAGE_ARCHITECTURE"
    assert "s390x" in error.cause
    assert f"--platform linux/{architecture()}" in error.remedy


def test_a_file_system_is_no_image_but_can_be_made_one(tmp_path: Path) -> None:
    error = refused(
        write_tar(tmp_path / "a.tar", {"usr/bin/env": b"", "etc/passwd": b""}), tmp_path
    )
    assert error.code == "IMAGE_FILE_INVALID"
    assert "docker import" in error.remedy


def test_a_bundle_is_loaded_by_another_command(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {"manifest.json": b'{"format": 1}', "images.tar": b""})
    assert "devstack images load" in refused(path, tmp_path).remedy


@pytest.mark.parametrize("length", [0, 100, 700, 1600, 3000])
def test_a_damaged_archive_is_rejected(tmp_path: Path, length: int) -> None:
    path = docker_archive(tmp_path / "a.tar", "app:1")
    path.write_bytes(path.read_bytes()[:length])
    assert refused(path, tmp_path).code == "IMAGE_FILE_INVALID"


def test_a_damaged_compressed_archive_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(gzip.compress(docker_archive(tmp_path / "a.tar", "app:1").read_bytes())[:-40])
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert refused(path, scratch).code == "IMAGE_FILE_INVALID"


@pytest.mark.parametrize("content", [b"\x1f\x8b" + b"x" * 50, b"\x1f\x8b", b"\x1f\x8b\x08"])
def test_what_only_begins_like_gzip_is_rejected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(content)
    assert refused(path, tmp_path).code == "IMAGE_FILE_INVALID"


def test_an_archive_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = docker_archive(tmp_path / "a.tar", "app:1")

    def forbidden(*_arguments: object, **_options: object) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", forbidden)
    error = refused(path, tmp_path)
    assert (error.code, error.cause) == (
        "IMAGE_FILE_INVALID",
        "it cannot be read: Permission denied",
    )


@pytest.mark.parametrize(
    "table", [[], [1], ["x"], [{}], [{"Config": "loop", "Layers": []}], None, 5, "x"]
)
@pytest.mark.parametrize("name", ["manifest.json", "index.json"])
def test_a_table_of_another_shape_is_rejected(tmp_path: Path, name: str, table: Any) -> None:
    content = table if name == "manifest.json" else {"manifests": table}
    members = {name: json.dumps(content).encode()}
    path = write_tar(tmp_path / "a.tar", members, {"loop": "loop"})
    assert refused(path, tmp_path).code == "IMAGE_FILE_INVALID"


def test_an_archive_without_a_layer_that_it_names_is_rejected(tmp_path: Path) -> None:
    entry = {"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["gone/layer.tar"]}
    members = {"c.json": config(LOWER), "manifest.json": json.dumps([entry]).encode()}
    assert "gone/layer.tar" in refused(write_tar(tmp_path / "a.tar", members), tmp_path).cause
