"""The registry of these tests does what registries do, and what goes wrong with them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.registry import Registry
from tests.support.registry_faults import Fault

IMAGE = "devstack/xcom:1"
NAME = "library/busybox"


@pytest.fixture(scope="module")
def faults() -> list[Fault]:
    return []


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, faults: list[Fault]) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry"), faults=faults) as registry:
        yield registry


@pytest.fixture(scope="module")
def digest(registry: Registry) -> str:
    return registry.add(IMAGE, f"{NAME}:1", index=True)


def pull(registry: Registry, digest: str) -> str:
    """Pull into a folder, since Docker has these layers; return what skopeo prints on errors."""
    source = f"docker://{registry.host}/{NAME}@{digest}"
    folder = registry.authority.parent / "pulled"
    argv = ["skopeo", "copy", "--src-cert-dir", str(registry.authority.parent / ".." / "trust")]
    done = subprocess.run(
        [*argv, "--quiet", source, f"dir:{folder}"], capture_output=True, text=True, check=False
    )
    return done.stderr if done.returncode else ""


def test_an_image_is_pulled_by_the_digest_of_its_index(registry: Registry, digest: str) -> None:
    assert pull(registry, digest) == ""


def test_a_login_is_required_where_users_are_given(tmp_path: Path) -> None:
    with Registry(tmp_path, users={"reader": "a:b c"}) as registry:
        digest = registry.add(IMAGE, f"{NAME}:1")
        assert "authentication required" in pull(registry, digest)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("denied"), "denied"),
        (Fault("unavailable", NAME), "503"),
        (Fault("drop"), "unexpected EOF"),
        (Fault("corrupt"), "got sha256:"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_what_goes_wrong_reaches_the_client(
    registry: Registry, digest: str, faults: list[Fault], fault: Fault, message: str
) -> None:
    faults[:] = [fault]
    assert message in pull(registry, digest)
    faults[:] = [Fault(fault.kind, "library/other")]
    assert pull(registry, digest) == ""
