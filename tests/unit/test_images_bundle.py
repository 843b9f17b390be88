"""Bundles: written atomically, verified before anything is loaded."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from devstack.errors import DevstackError
from devstack.images import bundle
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.programs import PROGRAMS
from tests.fakes.runner import Call, FakeRunner, Recorder

LAYERS = b"layers" * 5000


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    monkeypatch.setenv("DEVSTACK_CACHE", str(tmp_path / "cache"))
    for name in ("kind", "kubectl"):
        client = tmp_path / name
        client.write_text(f"the {name} program")
    fake = FakeRunner()
    fake.answer("docker", "save", effect=_write_images)
    fake.answer("docker", "load")
    return fake


def _write_images(call: Call) -> None:
    Path(call.argv[3]).write_bytes(LAYERS)


def _clients(folder: Path) -> dict[str, Path]:
    return {name: folder / name for name in ("kind", "kubectl")}


def _saved(tmp_path: Path, runner: FakeRunner) -> Path:
    path = tmp_path / "stack.bundle"
    bundle.save(path, ["minio", "task"], _clients(tmp_path), runner, Recorder(), ArtifactCache())
    return path


def _refused(path: Path, runner: FakeRunner) -> DevstackError:
    with pytest.raises(DevstackError) as caught:
        bundle.load(path, runner, Recorder(), ArtifactCache())
    assert not any(argv[:2] == ("docker", "load") for argv in runner.argvs)
    return caught.value


def test_a_bundle_contains_images_and_client_programs(tmp_path: Path, runner: FakeRunner) -> None:
    path = _saved(tmp_path, runner)
    assert bundle.load(path, runner, Recorder(), ArtifactCache()) == ["minio", "task"]
    assert runner.argvs[-1][:2] == ("docker", "load")
    kind = ArtifactCache().path("kind", PROGRAMS["kind"].key)
    assert kind.read_text() == "the kind program"
    assert kind.stat().st_mode & 0o111


def test_a_changed_byte_is_detected(tmp_path: Path, runner: FakeRunner) -> None:
    path = _saved(tmp_path, runner)
    content = bytearray(path.read_bytes())
    content[content.index(LAYERS) + 100] ^= 1
    path.write_bytes(content)
    error = _refused(path, runner)
    assert error.code == "BUNDLE_CORRUPT"
    assert "images.tar" in error.cause


@pytest.mark.parametrize("length", [0, 100, 1500, 20000])
def test_a_truncated_bundle_is_rejected(tmp_path: Path, runner: FakeRunner, length: int) -> None:
    path = _saved(tmp_path, runner)
    path.write_bytes(path.read_bytes()[:length])
    assert _refused(path, runner).code == "BUNDLE_CORRUPT"


def test_a_file_of_another_kind_is_rejected(tmp_path: Path, runner: FakeRunner) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff" * 1000)
    assert _refused(path, runner).code == "BUNDLE_CORRUPT"


def test_a_bundle_of_another_architecture_is_rejected(tmp_path: Path, runner: FakeRunner) -> None:
    manifest = {"format": 1, "architecture": "s390x", "images": {}, "files": {}}
    content = json.dumps(manifest).encode()
    path = tmp_path / "other.bundle"
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo(bundle.MANIFEST)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    error = _refused(path, runner)
    assert error.code == "BUNDLE_ARCHITECTURE"
    assert "s390x" in error.cause


def test_a_missing_bundle_is_named(tmp_path: Path, runner: FakeRunner) -> None:
    error = _refused(tmp_path / "nowhere", runner)
    assert error.code == "BUNDLE_MISSING"
    assert "nowhere" in error.message


def test_a_failed_save_leaves_no_file(tmp_path: Path, runner: FakeRunner) -> None:
    runner.answer("docker", "save", returncode=1, stderr="no space left on device")
    with pytest.raises(DevstackError):
        _saved(tmp_path, runner)
    assert list(tmp_path.glob("stack.bundle*")) == []


def test_a_bundle_that_cannot_be_written_is_reported_with_the_cause(
    tmp_path: Path, runner: FakeRunner
) -> None:
    with pytest.raises(DevstackError) as caught:
        bundle.save(
            tmp_path / "no" / "x", ["task"], _clients(tmp_path), runner, Recorder(), ArtifactCache()
        )
    assert caught.value.code == "BUNDLE_UNWRITABLE"
