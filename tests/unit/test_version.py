"""The version of sources in every state, and what `devstack --version` prints."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from packaging.version import Version

import devstack
from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.paths import project_file
from devstack.version import NEXT_RELEASE, devstack_version, version_of

IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@example.com")


class Clone:
    """A repository with the module that finds the version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module = folder / "devstack" / "version.py"
        self.module.parent.mkdir(parents=True)
        shutil.copy(project_file("devstack", "version.py"), self.module)
        shutil.copy(project_file(".gitattributes"), folder)
        self.git("init", "--quiet")
        self.git("add", ".")
        self.commit()

    def git(self, *arguments: str) -> str:
        argv = ["git", *IDENTITY, *arguments]
        done = subprocess.run(argv, cwd=self.folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self) -> str:
        """Make a commit; return the start of its id."""
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "--short=12", "HEAD")


def version_in(folder: Path) -> str:
    """Return the version that a build of ``folder`` gets."""
    return str(load(folder).source_version())


def load(folder: Path) -> ModuleType:
    spec = spec_from_file_location("version", folder / "devstack" / "version.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "clone")


def test_a_clone_without_tags_is_a_development_version_of_the_next_release(clone: Clone) -> None:
    commit = clone.git("rev-parse", "--short=12", "HEAD")
    assert version_in(clone.folder) == f"{NEXT_RELEASE}.dev0+g{commit}"


def test_a_tagged_commit_has_the_version_of_its_tag(clone: Clone) -> None:
    clone.git("tag", "v0.3.0")
    clone.git("tag", "v0.3")  # for `uses: ...@v0.3`; it moves
    assert version_in(clone.folder) == "0.3.0"


def test_a_commit_after_a_tag_is_a_development_version_above_it(clone: Clone) -> None:
    clone.git("tag", "v0.3.0")
    commit = clone.commit()
    assert version_in(clone.folder) == f"0.3.1.dev1+g{commit}"


def test_changed_files_are_not_the_version_of_the_tag(clone: Clone) -> None:
    clone.git("tag", "v0.3.0")
    with clone.module.open("a") as file:
        file.write("# changed\n")
    commit = clone.git("rev-parse", "--short=12", "HEAD")
    assert version_in(clone.folder) == f"0.3.1.dev0+g{commit}.dirty"


def test_a_shallow_clone_has_a_version(clone: Clone, tmp_path: Path) -> None:
    clone.git("tag", "v0.3.0")
    commit = clone.commit()
    shallow = tmp_path / "shallow"
    clone.git("clone", "--quiet", "--depth=1", clone.folder.as_uri(), str(shallow))
    assert version_in(shallow) == f"{NEXT_RELEASE}.dev0+g{commit}"


def test_an_archive_of_a_tag_has_its_version(clone: Clone, tmp_path: Path) -> None:
    clone.git("tag", "v0.3.0")
    archive = tmp_path / "archive.tar"
    clone.git("archive", f"--output={archive}", "HEAD")
    shutil.unpack_archive(archive, tmp_path / "archive")
    assert version_in(tmp_path / "archive") == "0.3.0"


def test_sources_of_unknown_origin_have_a_version(clone: Clone) -> None:
    shutil.rmtree(clone.folder / ".git")
    assert version_in(clone.folder) == f"{NEXT_RELEASE}.dev0"


def test_a_clone_without_git_has_a_version(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    clone.git("tag", "v0.3.0")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert version_in(clone.folder) == f"{NEXT_RELEASE}.dev0"


def test_variables_of_git_do_not_select_another_repository(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone.git("tag", "v0.3.0")
    other = Clone(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    assert version_in(clone.folder) == "0.3.0"


ORDER = (
    "v0.1.0-3-gabcdef012345",
    "v0.2.0rc1-0-gabcdef012345",
    "v0.2.0-0-gabcdef012345",
    "v0.2.0-1-gabcdef012345",
    "v0.2.1rc1-1-gabcdef012345-dirty",
    "v0.2.1",
    "v1.0.0",
)


def test_versions_increase_with_the_commits() -> None:
    versions = [Version(version_of(described)) for described in ORDER]
    assert versions == sorted(versions)
    assert len(set(versions)) == len(versions)


def test_the_next_release_is_the_first_of_the_changelog() -> None:
    heading = re.search(r"^## (\S+)", project_file("CHANGELOG.md").read_text(), re.MULTILINE)
    assert heading
    assert heading[1] == NEXT_RELEASE


def test_the_package_has_a_version() -> None:
    assert devstack.__version__ == devstack_version()
    with pytest.raises(AttributeError):
        _ = devstack.no_such_name  # type: ignore[attr-defined]


@pytest.mark.parametrize("argv", [("--version", "--json"), ("--json", "--version")])
def test_versions_of_components_are_printed_as_json(
    argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(argv, Output()) == 0
    envelope = json.loads(capsys.readouterr().out)
    data = envelope["data"]
    assert (envelope["command"], data["devstack"]) == ("version", devstack_version())
    names = {"Kubernetes", "kind", "containerd", "JobSet", "MinIO", "Airflow", "Postgres"}
    assert names | {"Metaflow", "Python"} <= set(data["components"])
    assert all(re.match(r"\d|RELEASE", text) for text in data["components"].values()), data


def test_versions_are_printed_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"], Output()) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert first == f"devstack {devstack_version()}"
    assert any(line.split() == ["Python", sys.version.split()[0]] for line in others)
    patch = r"1\.37\.\d+"
    (kubernetes,) = (line for line in others if "Kubernetes" in line)
    both = rf"  Kubernetes +{patch} pulled, {patch} built \(also 1\.36, .*\)"
    assert re.fullmatch(both, kubernetes)


def test_printing_versions_imports_nothing_slow() -> None:
    program = (
        "import sys; from devstack.cli.main import run; from devstack.cli.output import Output;"
        "run(['--version'], Output());"
        "slow = {'rich', 'metaflow', 'kubernetes', 'docker', 'requests', 'msgspec'};"
        "sys.exit(', '.join(slow & sys.modules.keys()) or 0)"
    )
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
