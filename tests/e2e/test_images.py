"""Images on a real Docker: listed, saved, removed, loaded again; and what offline says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.images.catalogue import IMAGES
from tests.support.commandline import Devstack

pytestmark = pytest.mark.docker

JOBSET = IMAGES["jobset"].reference


@pytest.fixture(scope="module")
def devstack(tmp_path_factory: pytest.TempPathFactory) -> Devstack:
    return Devstack("images", tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def bundle(devstack: Devstack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    devstack.run("images", "build", "jobset", timeout=3600)
    path = tmp_path_factory.mktemp("bundle") / "stack.bundle"
    devstack.run("images", "save", str(path), "--image", "jobset", timeout=3600)
    return path


@pytest.fixture
def without_jobset(devstack: Devstack, bundle: Path) -> Iterator[None]:
    """Docker has no JobSet image; afterwards it has."""
    subprocess.run(["docker", "rmi", "--force", JOBSET], check=True, capture_output=True)
    yield
    devstack.run("images", "load", str(bundle))


def _sources(devstack: Devstack) -> dict[str, str]:
    envelope = json.loads(devstack.run("images", "list", "--json").stdout)
    return {row["name"]: row["source"] for row in envelope["data"]["images"]}


def _failure(devstack: Devstack, *argv: str) -> dict[str, str]:
    done = devstack.run(*argv, "--json", check=False)
    assert done.returncode != 0
    error: dict[str, str] = json.loads(done.stdout)["error"]
    return error


@pytest.mark.usefixtures("without_jobset")
def test_a_bundle_restores_an_image_that_docker_lost(devstack: Devstack, bundle: Path) -> None:
    assert _sources(devstack)["jobset"] == "absent"
    devstack.run("images", "load", str(bundle))
    assert _sources(devstack)["jobset"] == "built"


def test_existing_images_are_not_rebuilt(devstack: Devstack, bundle: Path) -> None:
    done = devstack.run("images", "build", "jobset", timeout=10)
    assert "Compile" not in done.stdout + done.stderr


@pytest.mark.usefixtures("without_jobset")
def test_up_offline_names_the_missing_image_and_creates_nothing(devstack: Devstack) -> None:
    error = _failure(devstack, "up", "--offline")
    devstack.run("down")
    assert error["code"] == "IMAGES_MISSING"
    assert JOBSET in error["cause"]
    assert "images load" in error["remedy"]


@pytest.mark.usefixtures("without_jobset")
def test_a_truncated_bundle_loads_nothing(devstack: Devstack, bundle: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.bundle"
    cut.write_bytes(bundle.read_bytes()[:-3_000_000])
    assert _failure(devstack, "images", "load", str(cut))["code"] == "BUNDLE_CORRUPT"
    assert _sources(devstack)["jobset"] == "absent"


def test_a_file_that_is_not_a_bundle_is_rejected(devstack: Devstack, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("not a bundle")
    assert _failure(devstack, "images", "load", str(other))["code"] == "BUNDLE_CORRUPT"
