"""What goes wrong while an image is pulled: the error names the image and the next step."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.pull.published import Inside, Internet, internet
from tests.support.registry_faults import RATE_LIMIT, Fault

BUSYBOX = "docker.io/library/busybox"
FEW_ATTEMPTS = {"max-download-attempts": 2}
"""By default the engine tries five times, in 50 s."""


@pytest.fixture(scope="module")
def faults() -> list[Fault]:
    """What goes wrong at the moment."""
    return []


@pytest.fixture(scope="module")
def machine(
    tmp_path_factory: pytest.TempPathFactory, published: Path, faults: list[Fault]
) -> Iterator[Internet]:
    """A machine whose registry does what ``faults`` says, and whose engine times out soon."""
    folder = tmp_path_factory.mktemp("faults")
    with internet(folder, published, faults=faults, engine=FEW_ATTEMPTS) as machine:
        yield machine


@pytest.fixture
def stack(machine: Internet, faults: list[Fault], tmp_path: Path) -> Iterator[Inside]:
    """devstack on an engine without images."""
    yield machine.devstack("faults", tmp_path / "home", tmp_path / "cache")
    faults.clear()
    machine.engine.run("sh", "-c", "docker image ls -q | xargs -r docker image rm --force")


@contextmanager
def replaced(machine: Internet, **fields: str) -> Iterator[None]:
    """Change busybox' entry in the list of images."""
    text = machine.images.read_text()
    for field, value in fields.items():
        machine.change("xcom", field, value)
    try:
        yield
    finally:
        machine.images.write_text(text)


def pull(stack: Inside, *names: str) -> dict[str, Any]:
    """Return the error of a pull that fails."""
    envelope = stack.json("images", "pull", *names, check=False)
    assert "error" in envelope, envelope
    return dict(envelope["error"])


@pytest.mark.parametrize(
    ("kind", "code", "step"),
    [
        ("rate-limit", "REGISTRY_RATE_LIMIT", "docker login"),
        ("denied", "REGISTRY_LOGIN", "docker login docker.io"),
        ("unavailable", "REGISTRY_FAILED", "again later"),
        ("drop", "PULL_INTERRUPTED", "run the command again"),
        ("corrupt", "IMAGE_DIGEST_WRONG", "mirror"),
    ],
)
def test_the_error_names_the_image_and_the_next_step(
    stack: Inside, faults: list[Fault], kind: Any, code: str, step: str
) -> None:
    faults.append(Fault(kind))
    error = pull(stack, "xcom")
    assert error["code"] == code, error
    assert BUSYBOX in error["message"]
    assert step in error["remedy"]


def test_the_engines_own_words_are_shown(stack: Inside, faults: list[Fault]) -> None:
    faults.append(Fault("rate-limit"))
    done = stack.run("images", "pull", "xcom", check=False)
    assert RATE_LIMIT in done.stderr


def test_a_missing_tag(stack: Inside, machine: Internet) -> None:
    with replaced(machine, reference=f"{BUSYBOX}:0.0", digest=""):
        error = pull(stack, "xcom")
    assert error["code"] == "IMAGE_NOT_PUBLISHED"
    assert f"{BUSYBOX}:0.0" in error["message"]


def test_a_digest_that_the_registry_does_not_have(stack: Inside, machine: Internet) -> None:
    with replaced(machine, digest=f"sha256:{'0' * 64}"):
        error = pull(stack, "xcom")
    assert error["code"] == "IMAGE_NOT_PUBLISHED"
    assert f"{BUSYBOX}@sha256:{'0' * 64}" in error["message"]


def test_a_slow_connection_is_no_error(stack: Inside, faults: list[Fault]) -> None:
    faults.append(Fault("slow", rate=300_000))
    done = stack.run("images", "pull", "xcom")
    # Its size is known before anything arrives, and what arrived is shown.
    assert re.search(r"1 MB", done.stderr), done.stderr


def test_a_connection_that_drops_once_is_no_error(stack: Inside, faults: list[Fault]) -> None:
    faults.append(Fault("drop", times=1))
    stack.run("images", "pull", "xcom")
    assert not faults


def test_a_full_disk(tmp_path: Path, published: Path) -> None:
    with internet(tmp_path, published, disk="64m") as machine:
        stack = machine.devstack("full", tmp_path / "home", tmp_path / "cache")
        error = pull(stack, "postgres")
        assert error["code"] == "DOCKER_DISK_FULL", error
        assert "docker system" in error["remedy"]


def test_a_registry_that_wants_a_login(tmp_path: Path, published: Path) -> None:
    with internet(tmp_path, published, users={"reader": "a:b c"}) as machine:
        stack = machine.devstack("login", tmp_path / "home", tmp_path / "cache")
        assert pull(stack, "xcom")["code"] == "REGISTRY_LOGIN"
        login(machine, stack)
        stack.run("images", "pull", "xcom")


def login(machine: Internet, stack: Inside) -> None:
    """Log in to Docker Hub, as the error says."""
    argv = ["docker", "login", "--username", "reader", "--password-stdin"]
    subprocess.run(
        machine.engine.inside(*argv),
        input="a:b c",
        text=True,
        env=stack.environment,
        capture_output=True,
        check=True,
    )
