"""`devstack paths`: where users find the files for Tilt, Compose and kubectl."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devstack.cli.main import run
from devstack.cli.output import Output


def test_every_file_that_is_named_exists(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["paths", "--json"], Output()) == 0
    paths = json.loads(capsys.readouterr().out)["data"]["paths"]
    assert Path(paths["tiltfile"]).name == "Tiltfile"
    assert Path(paths["compose"]).name == "compose.yaml"
    assert Path(paths["manifests"], "minio", "kustomization.yaml").is_file()
    assert Path(paths["samples"], "hello.py").is_file()
    assert Path(paths["documents"], "machines.md").is_file()
    assert all(Path(path).is_absolute() for path in paths.values())


def test_the_files_that_the_tiltfile_reads_are_beside_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["paths", "tiltfile"], Output()) == 0
    tiltfile = Path(capsys.readouterr().out.strip())
    assert (tiltfile.parent / "k8s" / "services.json").is_file()


def test_folders_follow_the_users_settings(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["paths", "state"], Output()) == 0
    assert capsys.readouterr().out == f"{home / 'state'}\n"


def test_an_unknown_name_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["paths", "tilt"], Output()) == 2
    assert "Did you mean 'tiltfile'?" in capsys.readouterr().err
