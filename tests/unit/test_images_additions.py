"""Images built upon pulled ones, compared with those built from packages."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from devstack.docker.addition import ImageAddition
from devstack.docker.client import DockerClient
from devstack.images import additions as module
from devstack.images.additions import ADDITIONS, BYTECODE, STAGE, Additions, addition_key
from devstack.images.archive import LayeredImage
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.background_compiler import BackgroundCompiler
from devstack.images.build import RECIPES
from devstack.images.build_context import BuildContext
from devstack.images.catalogue import IMAGES
from devstack.images.golang import Compiler
from devstack.images.upstream import Upstream
from tests.fakes.runner import Call, FakeRunner, Recorder

BASE = Upstream("docker.io/library/python:3", "sha256:" + "c" * 64)


@pytest.mark.parametrize("name", ADDITIONS)
def test_the_configuration_is_that_of_the_built_image(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = _build_without_packages(name, tmp_path, monkeypatch)
    own = ADDITIONS[name].config
    for field in ("Entrypoint", "Cmd", "User", "Env"):
        assert own.get(field) == built.config.get(field), field
    assert own.get("WorkingDir", "/") == built.config.get("WorkingDir", "/")


def test_a_key_depends_on_the_pulled_image() -> None:
    other = Upstream(BASE.reference, "sha256:" + "d" * 64)
    assert addition_key("task", BASE) != addition_key("task", other)
    assert len({addition_key(name, BASE) for name in ADDITIONS}) == len(ADDITIONS)


def test_files_are_copied_into_a_container_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "install_packages", _install)
    runner = FakeRunner()
    runner.answer("docker")
    archives: list[bytes] = []
    runner.answer("docker", "cp", effect=lambda call: _copy(call, archives))
    Additions(runner, ArtifactCache(tmp_path)).build("metadata", "python@sha256:c", BASE)
    commands = [argv[1] for argv in runner.argvs]
    assert commands == ["rm", "create", "cp", "start", "cp", "start", "commit", "rm"]
    create = runner.argvs[1]
    assert create[create.index("--network") + 1] == "none"
    commit = runner.argvs[-2]
    assert f"LABEL devstack.upstream={BASE.pinned}" in commit
    assert "USER 65532:65532" in commit
    assert commit[-1] == IMAGES["metadata"].reference
    (tmp_path / "files.tar").write_bytes(archives[0])
    with tarfile.open(tmp_path / "files.tar") as tar:
        names = set(tar.getnames())
    assert {f"{STAGE}/packages/package.py", f"{STAGE}/add-packages", "usr/bin/tini"} <= names
    # Parents of files are in the archive, too: they must not change the modes of the image's.
    assert "tmp" not in names


def test_bytecode_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "install_packages", _install)
    runner = FakeRunner()
    runner.answer("docker")
    archives: list[bytes] = []
    runner.answer("docker", "cp", effect=lambda call: _copy(call, archives))
    own = Additions(runner, ArtifactCache(tmp_path))
    own.build("metadata", "python@sha256:c", BASE)
    before = len(runner.argvs)
    own.build("metadata", "python@sha256:c", BASE)
    commands = [argv[1] for argv in runner.argvs[before:]]
    assert commands == ["rm", "create", "cp", "start", "commit", "rm"]
    (tmp_path / "files.tar").write_bytes(archives[1])
    with tarfile.open(tmp_path / "files.tar") as tar:
        found = tar.extractfile(BYTECODE)
        assert found
        assert found.read() == b"compiled"


def _copy(call: Call, archives: list[bytes]) -> None:
    """Keep what is copied into a container; write what is copied out of it."""
    if call.input is not None:
        archives.append(bytes(call.input))
    else:
        Path(call.argv[-1]).write_bytes(b"compiled")


def test_a_failed_addition_leaves_no_container(tmp_path: Path) -> None:
    runner = FakeRunner()
    runner.answer("docker")
    runner.answer("docker", "start", returncode=1, stderr="no python3")
    (tmp_path / "files.tar").write_bytes(b"")
    with pytest.raises(Exception, match="docker start"):
        ImageAddition(runner, "name").build("base", "target", tmp_path / "files.tar", "true", [])
    assert runner.argvs[-1][:3] == ("docker", "rm", "--force")


def test_the_users_proxies_are_not_those_of_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker's client adds them to what it creates, and an image keeps the variables of that."""
    own = tmp_path / "docker"
    (own / "contexts").mkdir(parents=True)
    proxies = {"default": {"httpProxy": "http://me:secret@proxy:3128"}}
    (own / "config.json").write_text(json.dumps({"proxies": proxies, "currentContext": "colima"}))
    monkeypatch.setenv("DOCKER_CONFIG", str(own))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    seen = []

    def create(call: Call) -> None:
        folder = Path(str(call.env["DOCKER_CONFIG"]))
        assert (folder / "contexts").resolve() == own / "contexts"
        seen.append(json.loads((folder / "config.json").read_text()))

    runner = FakeRunner()
    runner.answer("docker")
    for command in ("create", "run"):
        runner.answer("docker", command, effect=create)
    (tmp_path / "files.tar").write_bytes(b"")
    ImageAddition(runner, "name").build("base", "target", tmp_path / "files.tar", "true", [])
    DockerClient(runner).change("base", "true", tmp_path, "target", [])
    assert seen == [{"currentContext": "colima"}] * 2


def test_packages_are_installed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[Path] = []

    def install(runner: object, path: Path, *options: object) -> None:
        installed.append(path)
        _install(runner, path)

    monkeypatch.setattr(module, "install_packages", install)
    own = Additions(FakeRunner(), ArtifactCache(tmp_path))
    own.install_packages(own.missing_packages(["task", "airflow", "metadata"]), Recorder())
    assert own.missing_packages(["task"]) == []
    assert len(installed) == len({"task", "init", "code", "airflow", "metadata"})


def _install(runner: object, path: Path, *options: object) -> None:
    path.mkdir(parents=True)
    (path / "package.py").touch()


def _build_without_packages(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> LayeredImage:
    """Return what a recipe makes of a Debian and packages that are empty."""
    empty = folder / "empty.tar"
    with tarfile.open(empty, "w"):
        pass
    made = folder / "made"
    (made / "packages").mkdir(parents=True)
    (made / "bytecode.tar").hardlink_to(empty)
    monkeypatch.setattr(
        ArtifactCache,
        "make",
        lambda _, kind, *__: empty if kind.startswith("rootfs") else made,
    )
    cache, runner = ArtifactCache(folder), FakeRunner()
    compiler = BackgroundCompiler(Compiler(runner, Recorder(), cache), cache, ())
    context = BuildContext(runner, Recorder(), cache, compiler, folder)
    scratch = folder / "layers"
    scratch.mkdir()
    return RECIPES[name].image(context, scratch)
