"""The unit tests of our own Go programs, run by the Go that compiles them for the images."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from devstack.images.artifact_cache import ArtifactCache
from devstack.images.golang import find_go, go_environment
from devstack.images.kubernetes_versions import DEFAULT
from devstack.images.programs import CONTAINERS, build_flags
from devstack.process import SubprocessRunner
from devstack.progress import Silent

TESTED = sorted(
    path.parent for path in CONTAINERS.glob("*/go.mod") if any(path.parent.rglob("*_test.go"))
)


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Go toolchain."""
    return find_go(SubprocessRunner(), Silent(), ArtifactCache())


@pytest.mark.parametrize("module", TESTED, ids=lambda path: path.name)
def test_the_go_tests_pass(go: str, module: Path) -> None:
    for argv in (
        ["vet", *build_flags(DEFAULT), "./..."],
        ["test", *build_flags(DEFAULT), "-count=1", "./..."],
    ):
        done = subprocess.run(
            [go, *argv],
            cwd=module,
            env={**os.environ, **go_environment(ArtifactCache())},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_go_tests_to_run() -> None:
    assert {"gang", "network-policies", "node-agent", "provisioner"} <= {
        path.name for path in TESTED
    }
