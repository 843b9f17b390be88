from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from devstack.paths import project_file

BASH = [
    path
    for path in [*project_file("scripts").iterdir(), project_file(".ci", "run")]
    if path.is_file() and path.read_text().startswith("#!/usr/bin/env bash")
]


def run(*argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    script = str(project_file("scripts", argv[0]))
    return subprocess.run([script, *argv[1:]], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("script", BASH, ids=lambda path: path.name)
def test_a_script_can_be_run_and_stops_at_its_first_fault(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text().splitlines()


def test_the_demo_says_how_it_is_used(tmp_path: Path) -> None:
    asked = run("demo", "--help", cwd=tmp_path)
    assert asked.returncode == 0
    for option in ("--name NAME", "--no-install"):
        assert option in asked.stdout


def test_the_demo_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    refused = run("demo", "--nmae", "x", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--name NAME" in refused.stderr


def test_the_environment_is_found_from_any_folder(tmp_path: Path) -> None:
    found = run("environment", "--test", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip(), "devstack").exists()
