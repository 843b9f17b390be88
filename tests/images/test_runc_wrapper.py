"""The runc wrapper, run for real with CAP_SYS_RESOURCE withheld."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from devstack.images.artifact_cache import ArtifactCache
from devstack.images.golang import Compiler
from devstack.images.programs import PROGRAMS
from devstack.process import SubprocessRunner
from devstack.progress import Silent

pytestmark = pytest.mark.docker

WITHHELD = ("setpriv", "--bounding-set", "-sys_resource")
CAPABILITIES = ["CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_SYS_ADMIN"]
FILE_LIMIT = 1_048_576


@pytest.fixture(scope="module")
def wrapper() -> str:
    compiler = Compiler(SubprocessRunner(), Silent(), ArtifactCache())
    return str(compiler.ensure([PROGRAMS["runc-wrapper"]])["runc-wrapper"])


def _process() -> dict[str, Any]:
    return {
        "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES},
        "oomScoreAdj": -998,
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": FILE_LIMIT, "soft": FILE_LIMIT}],
    }


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("option", [["--bundle"], ["-b"]])
def test_a_containers_specification_loses_what_the_host_withholds(
    wrapper: str, tmp_path: Path, option: list[str]
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"ociVersion": "1.0.2", "process": _process()}))
    # runc itself then refuses the rest of this specification.
    _run(
        *WITHHELD, wrapper, "--root", str(tmp_path / "runc"), "create", *option, str(tmp_path), "x"
    )
    process = json.loads(config.read_text())["process"]
    assert process["capabilities"]["bounding"] == ["CAP_CHOWN", "CAP_SYS_ADMIN"]
    assert process["capabilities"]["effective"] == ["CAP_CHOWN", "CAP_SYS_ADMIN"]
    assert process["oomScoreAdj"] == 0
    assert process["rlimits"] == _process()["rlimits"]


def test_a_process_that_joins_a_container_loses_it_too(wrapper: str, tmp_path: Path) -> None:
    file = tmp_path / "process.json"
    file.write_text(json.dumps(_process()))
    _run(*WITHHELD, wrapper, "--log", "/dev/null", "exec", f"--process={file}", "x")
    process = json.loads(file.read_text())
    assert "CAP_SYS_RESOURCE" not in process["capabilities"]["bounding"]


def test_the_wrapper_executes_runc(wrapper: str) -> None:
    assert _run(*WITHHELD, wrapper, "--version").stdout.startswith("runc version")


def test_a_missing_bundle_is_an_error(wrapper: str, tmp_path: Path) -> None:
    done = _run(*WITHHELD, wrapper, "create", "--bundle", str(tmp_path / "no"), "x")
    assert done.returncode != 0
    assert "config.json" in done.stderr
