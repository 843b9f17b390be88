"""Completing a published Go module that lacks files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devstack.images.go_sources import complete
from devstack.images.programs import CONTAINERS, PROGRAMS, MissingFiles, Program
from tests.fakes.runner import FakeRunner

GO = "/usr/bin/go"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    module = tmp_path / "module"
    (module / "page").mkdir(parents=True)
    (module / "go.mod").write_text("module x")
    (module / "go.sum").write_text("sums")
    (module / "page" / "index.html").write_text("page")
    missing = MissingFiles("example.com/server", "page", "ui/dist")
    return Program("server", "example.com/server", module, missing=missing)


@pytest.fixture
def runner(tmp_path: Path) -> FakeRunner:
    published = tmp_path / "cache" / "server@v1"
    for name in ("go.mod", "main.go", "ui/ui.go", "docs/page.md", "ui/docs/kept.go"):
        (published / name).parent.mkdir(parents=True, exist_ok=True)
        (published / name).write_text(name)
    for file in published.rglob("*.*"):
        if file.is_file():
            file.chmod(0o444)
    made = FakeRunner()
    answer = json.dumps({"Dir": str(published)})
    made.answer(GO, "mod", "download", stdout=answer)
    made.answer(GO, "mod", "edit")
    return made


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_a_complete_module_is_compiled_where_it_is(tmp_path: Path) -> None:
    runner, program = FakeRunner(), PROGRAMS["registry"]
    assert complete(program, tmp_path / "sources", runner, GO, {}) == program.module
    assert runner.calls == []


def test_missing_files_are_added_to_a_copy(
    tmp_path: Path, program: Program, runner: FakeRunner
) -> None:
    folder = complete(program, tmp_path / "sources", runner, GO, {"GOCACHE": "x"})
    assert folder == tmp_path / "sources"
    assert files(folder) == {
        "go.mod",
        "go.sum",
        "published/go.mod",
        "published/main.go",
        "published/ui/ui.go",
        "published/ui/docs/kept.go",
        "published/ui/dist/index.html",
    }
    assert files(tmp_path / "cache" / "server@v1").isdisjoint({"ui/dist/index.html"})
    # They can be removed by a user who is not root.
    assert all(file.stat().st_mode & 0o200 for file in folder.rglob("*"))


def test_no_folder_of_this_machine_gets_into_the_program(
    tmp_path: Path, program: Program, runner: FakeRunner
) -> None:
    complete(program, tmp_path / "sources", runner, GO, {"GOCACHE": "x"})
    download, edit = runner.calls
    assert download.cwd == program.module
    assert edit.cwd == tmp_path / "sources"
    assert edit.argv[-1] == "-replace=example.com/server=./published"
    assert download.env == edit.env == {"GOCACHE": "x"}


def test_argos_server_gets_a_page_of_devstacks_own() -> None:
    missing = PROGRAMS["argo"].missing
    assert missing is not None
    page = (CONTAINERS / "argo" / missing.folder / "index.html").read_text()
    # The server's Content-Security-Policy allows nothing from other hosts.
    assert "://" not in page
    assert PROGRAMS["argo"].flags == PROGRAMS["argoexec"].flags
