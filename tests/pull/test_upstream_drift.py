"""scripts/check-upstream-images, against a real registry."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.images import ImageStore
from devstack.images.upstream import load_upstream
from devstack.process import SubprocessRunner
from devstack.progress import Silent
from tests.support.registry import Registry

SCRIPT = Path(__file__).parents[2] / "scripts" / "check-upstream-images"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as running:
        yield running


class Check:
    """The script, with every published image replaced by one small image of the registry."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self.registry = registry
        self.file = folder / "own.toml"
        self._trust = folder / "trust"
        self._trust.mkdir()
        shutil.copy(registry.authority, self._trust / "ca.crt")
        image = ImageStore(SubprocessRunner(), Silent()).ensure(["xcom"])["xcom"]
        self.digest = registry.add(image, "own/image:1", index=True)
        self.write(self.digest)

    def write(self, digest: str) -> None:
        """Write a list in which every image has this digest."""
        tables = (
            f'["{name}"]\nreference = "docker.io/own/image:1"\ndigest = "{digest}"\n'
            'platforms = ["linux/amd64"]\n'
            for name in load_upstream()
        )
        self.file.write_text("\n".join(tables))

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        argv = [str(SCRIPT), "--file", str(self.file), "--cert-dir", str(self._trust)]
        argv += ["--mirror", f"docker.io={self.registry.host}", *options]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def check(registry: Registry, tmp_path: Path) -> Check:
    return Check(registry, tmp_path)


def test_a_list_that_agrees_with_the_registry_has_no_drift(check: Check) -> None:
    done = check.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("as listed") == len(load_upstream())


def test_a_tag_that_moved_and_a_digest_that_is_gone_are_reported(check: Check) -> None:
    check.write("sha256:" + "a" * 64)
    done = check.run()
    assert done.returncode == 1
    assert f"the tag moved to {check.digest}" in done.stdout
    assert "the listed digest cannot be read" in done.stdout


def test_a_missing_platform_is_reported(check: Check) -> None:
    check.file.write_text(check.file.read_text().replace("linux/amd64", "linux/s390x"))
    done = check.run()
    assert done.returncode == 1
    assert "linux/s390x is missing" in done.stdout


def test_a_size_that_is_far_from_the_real_one_is_reported(check: Check) -> None:
    """Sizes decide whether the engine's disk has enough space."""
    text = check.file.read_text()
    check.file.write_text(text.replace("platforms =", "size = 60_000_000\nplatforms ="))
    done = check.run()
    assert done.returncode == 1
    assert "bytes are downloaded, not 60000000" in done.stdout


def test_update_writes_what_the_registry_has(check: Check) -> None:
    check.write("sha256:" + "a" * 64)
    assert check.run("--update").returncode == 0
    assert check.digest in check.file.read_text()
    assert "by skopeo" in check.file.read_text()
    assert check.run().returncode == 0


def test_a_registry_that_is_not_reached_is_drift(check: Check) -> None:
    with_no_registry = check.run("--mirror", "docker.io=127.0.0.1:9")
    assert with_no_registry.returncode == 1
    assert "the tag cannot be read" in with_no_registry.stdout
