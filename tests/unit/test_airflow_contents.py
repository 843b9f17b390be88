"""Images with DAG files: their names, what is in them, and files that are not Python."""

from __future__ import annotations

import fcntl
import tarfile
from pathlib import Path

import pytest

from devstack.errors import DevstackError
from devstack.images import airflow_contents
from devstack.images.airflow_contents import AirflowContents, pack_dags, packed_requirements
from devstack.images.artifact_cache import ArtifactCache
from devstack.progress import Silent
from tests.fakes.runner import FakeRunner


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "dags"
    (made / "package" / "__pycache__").mkdir(parents=True)
    (made / ".git").mkdir()
    for name in ("one.py", "package/two.py", "package/__pycache__/two.pyc", ".git/config"):
        (made / name).write_text("x = 1\n")
    return made


def packed(folder: Path) -> Path:
    archive = folder.parent / "dags.tar"
    pack_dags(folder, archive)
    return archive


def test_files_of_tools_are_left_out(folder: Path) -> None:
    with tarfile.open(packed(folder)) as tar:
        files = [each.name for each in tar if each.isfile()]
    assert files == ["opt/dags/one.py", "opt/dags/package/two.py"]


def test_a_link_to_a_file_of_the_folder_is_followed(folder: Path) -> None:
    (folder / "same.py").symlink_to("one.py")
    with tarfile.open(packed(folder)) as tar:
        assert tar.getmember("opt/dags/same.py").isfile()


@pytest.mark.parametrize(("target", "why"), [("private", "leads out"), ("package", "to a folder")])
def test_a_link_that_leads_elsewhere_is_refused(
    folder: Path, tmp_path: Path, target: str, why: str
) -> None:
    (tmp_path / "private").write_text("s3cret")
    (folder / "linked").symlink_to(tmp_path / "private" if target == "private" else target)
    with pytest.raises(DevstackError) as raised:
        packed(folder)
    assert raised.value.code == "DAG_FOLDER_INVALID"
    assert raised.value.cause.startswith("the link linked leads")
    assert why in raised.value.cause


@pytest.mark.parametrize("content", [{}, {"readme.txt": ""}])
def test_a_folder_without_dag_files_is_refused(tmp_path: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DevstackError) as raised:
        pack_dags(tmp_path, tmp_path / "dags.tar")
    assert raised.value.code == "DAG_FOLDER_INVALID"


def test_requirements_come_with_the_files(folder: Path) -> None:
    assert packed_requirements(packed(folder)) == ""
    (folder / "requirements.txt").write_text("cowsay\n")
    assert packed_requirements(packed(folder)) == "cowsay\n"


def test_a_name_tells_the_contents(folder: Path) -> None:
    assert AirflowContents().reference == ""
    assert AirflowContents(" \n").reference == ""
    first = AirflowContents("cowsay", packed(folder)).reference
    assert first == AirflowContents("cowsay", packed(folder)).reference
    (folder / "one.py").write_text("x = 2\n")
    others = {
        AirflowContents("cowsay").reference,
        AirflowContents("cowsay", packed(folder)).reference,
        AirflowContents("", packed(folder)).reference,
    }
    assert len({first, *others}) == 4


class EmptyEngine:
    """An engine without images."""

    def __init__(self, _runner: object) -> None: ...

    def inspect_images(self, _names: list[str]) -> dict[str, object]:
        return {}


def test_stacks_build_one_after_the_other(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ArtifactCache(tmp_path / "cache")
    locked = []

    def commit(*_arguments: object) -> None:
        with (cache.root / "build.lock").open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        locked.append(True)

    monkeypatch.setattr(airflow_contents, "engine_client", EmptyEngine)
    monkeypatch.setattr(AirflowContents, "_commit", commit)
    AirflowContents("", packed(folder)).build(FakeRunner(), Silent(), cache)
    assert locked


def test_a_file_that_is_not_python_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = FakeRunner()
    runner.answer("docker")
    broken = "SYNTAX ERROR one.py:3: invalid syntax\n"
    runner.answer("docker", "start", returncode=1, stderr=broken)

    monkeypatch.setattr(airflow_contents, "engine_client", EmptyEngine)
    with pytest.raises(DevstackError) as raised:
        AirflowContents("", packed(folder)).build(
            runner, Silent(), ArtifactCache(tmp_path / "cache")
        )
    assert raised.value.code == "DAG_SYNTAX"
    assert raised.value.cause == "one.py:3: invalid syntax"
