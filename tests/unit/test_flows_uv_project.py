"""The project of a sample that installs packages with uv."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from devstack.errors import DevstackError
from devstack.flows.uv_project import write_project
from devstack.samples.catalogue import Sample, find_sample
from tests.fakes.runner import Call, FakeRunner

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

URL = "https://files.example/a/humanize-4.9.0-py3-none-any.whl"


def sample() -> Sample:
    found = find_sample("packages")
    assert found
    return found


def _report(call: Call) -> None:
    install = {
        "metadata": {"name": "humanize", "version": "4.9.0"},
        "download_info": {"url": URL, "archive_info": {"hashes": {"sha256": "abc"}}},
    }
    file = Path(call.argv[call.argv.index("--report") + 1])
    file.write_text(json.dumps({"install": [install]}))


def test_uv_locks_the_project_where_it_is_installed(tmp_path: Path) -> None:
    runner = FakeRunner()
    runner.answer("uv")
    runner.answer("/usr/bin/uv", "lock", effect=lambda call: (tmp_path / "uv.lock").touch())
    file = write_project(sample(), tmp_path, Path("python"), runner)
    assert (file.path, file.arguments) == (tmp_path / "packages.py", ("--environment=uv",))
    assert runner.calls[-1].argv == ("/usr/bin/uv", "lock")
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == ["humanize"]


def test_without_uv_pip_finds_what_the_lock_names(tmp_path: Path) -> None:
    runner = FakeRunner()
    runner.answer("python", "-m", "pip", "install", effect=_report)
    write_project(sample(), tmp_path, Path("python"), runner)
    lock = tomllib.loads((tmp_path / "uv.lock").read_text())
    own, package = lock["package"]
    assert own["dependencies"] == [{"name": "humanize"}]
    assert package["version"] == "4.9.0"
    assert package["wheels"] == [{"url": URL, "hash": "sha256:abc"}]


def test_an_index_out_of_reach_is_reported(tmp_path: Path) -> None:
    runner = FakeRunner()
    runner.answer("python", "-m", "pip", "install", returncode=1, stderr="no index")
    with pytest.raises(DevstackError) as caught:
        write_project(sample(), tmp_path, Path("python"), runner)
    assert caught.value.code == "PACKAGE_INDEX_UNREACHABLE"
