"""What the argument of `devstack images add` means, and images that this machine lacks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from devstack.errors import DevstackError, ExitStatus
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.catalogue import IMAGES
from devstack.images.user_images import LocalImages, UserImage, find_user_image
from tests.fakes.runner import FakeRunner, Recorder
from tests.unit.test_images_archive_reader import docker_archive


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a project ``My App`` with a Dockerfile."""
    path = tmp_path / "My App"
    path.mkdir()
    (path / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.chdir(path)
    return path


def refused(argument: str, name: str = "") -> DevstackError:
    with pytest.raises(DevstackError) as caught:
        find_user_image(argument, name)
    assert caught.value.exit_status == ExitStatus.USAGE
    return caught.value


def test_a_name_is_an_image_of_this_machine() -> None:
    assert find_user_image("team/app:1") == UserImage("team/app:1")
    assert find_user_image("app") == UserImage("app:latest")


@pytest.mark.parametrize("argument", ["Dockerfile", "./Dockerfile", ".", "./"])
def test_a_dockerfile_is_built_and_named_after_its_folder(argument: str) -> None:
    found = find_user_image(argument)
    assert found.reference == "my-app:dev"
    assert found.build_file is not None
    assert os.path.samefile(found.build_file, "Dockerfile")
    assert find_user_image(argument, "team/app:2").reference == "team/app:2"


def test_a_folder_may_have_the_name_of_an_image(folder: Path) -> None:
    (folder / "app").mkdir()
    (folder / "app" / "Dockerfile").write_text("FROM scratch\n")
    assert find_user_image("app") == UserImage("app:latest")
    assert find_user_image("./app").build_file is not None


def test_an_archive_is_recognized_by_its_content_or_name(folder: Path) -> None:
    docker_archive(folder / "saved", "app:1")
    assert find_user_image("saved").archive == Path("saved")
    (folder / "broken.tar").write_bytes(b"")
    assert find_user_image("broken.tar").archive == Path("broken.tar")


@pytest.mark.parametrize("argument", ["gone.tar", "./gone", "gone/", "/gone", "~/gone.tgz"])
def test_a_missing_file_is_not_taken_for_an_image(argument: str) -> None:
    assert refused(argument).code == "IMAGE_FILE_MISSING"


@pytest.mark.parametrize("argument", ["~no-such-user/x.tar", f"./{'x' * 300}"])
def test_a_path_that_no_file_can_have_is_missing(argument: str) -> None:
    assert refused(argument).code == "IMAGE_FILE_MISSING"
    assert refused("x" * 300).code == "IMAGE_NAME_INVALID"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.tar.zst", b"\x28\xb5\x2f\xfdabc"),
        ("model.tar.xz", b"\xfd7zXZ\x00abc"),
        ("model.tar.bz2", b"BZh91AY&SY"),
        ("model.bin", b"abc\x00def"),
    ],
)
def test_a_file_of_another_kind_is_not_taken_for_a_dockerfile(
    folder: Path, name: str, content: bytes
) -> None:
    (folder / name).write_bytes(content)
    error = refused(name)
    assert error.code == "IMAGE_FILE_INVALID"
    assert error.remedy.startswith("decompress it, or use gzip")


def test_a_file_that_may_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_arguments: object, **_options: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    assert refused("./Dockerfile").cause == "it cannot be read: Permission denied"


def test_a_second_name_for_an_image_of_docker_is_rejected() -> None:
    error = refused("team/app:1", "other:2")
    assert error.remedy == "docker tag team/app:1 other:2, then devstack images add other:2"
    assert find_user_image("app", "docker.io/library/app:latest") == UserImage("app:latest")


def test_a_digest_needs_a_tag() -> None:
    error = refused("team/app@sha256:12")
    assert error.code == "IMAGE_NAME_INVALID"
    assert "docker tag team/app@sha256:12 NAME:TAG" in error.remedy


@pytest.mark.parametrize("name", ["My App", "App:1", "app:", "https://host/app", "a b", "$(id)"])
def test_a_name_that_is_none_is_rejected(name: str) -> None:
    assert refused(name).code == "IMAGE_NAME_INVALID"
    assert refused("Dockerfile", name).code == "IMAGE_NAME_INVALID"


def test_the_stacks_own_images_cannot_be_replaced() -> None:
    for name in (IMAGES["task"].reference, "registry.k8s.io/pause:3.10"):
        error = refused(name)
        assert error.code == "IMAGE_RESERVED"
        assert f"docker tag {name} local/" in error.remedy


@pytest.fixture
def local(tmp_path: Path) -> tuple[FakeRunner, LocalImages]:
    runner = FakeRunner()
    return runner, LocalImages(runner, Recorder(), ArtifactCache(tmp_path / "cache"))


def test_an_image_that_this_machine_lacks_is_named_with_the_closest(
    local: tuple[FakeRunner, LocalImages],
) -> None:
    runner, images = local
    missing = "Error: No such image: team/modle:1"
    runner.answer("docker", "image", "inspect", returncode=1, stdout="\n", stderr=missing)
    listing = "team/model:1\ndevstack/task:3.11-1\n<none>:<none>\n"
    runner.answer("docker", "image", "ls", stdout=listing)
    with pytest.raises(DevstackError) as caught, images.archive(UserImage("team/modle:1"), "k"):
        pass
    assert caught.value.code == "IMAGE_NOT_FOUND"
    assert caught.value.remedy.startswith("did you mean team/model:1?")
    assert "docker build --tag team/modle:1 ." in caught.value.remedy


def test_a_build_that_fails_shows_its_output(local: tuple[FakeRunner, LocalImages]) -> None:
    runner, images = local
    runner.answer("docker", "build", returncode=1, stderr="unknown instruction: FORM")
    image = UserImage("app:dev", build_file=Path("Dockerfile"))
    with pytest.raises(DevstackError) as caught, images.archive(image, "k"):
        pass
    assert caught.value.code == "IMAGE_BUILD_FAILED"
    assert "FORM" in caught.value.output


def test_an_archive_cannot_replace_the_stacks_own_images(
    local: tuple[FakeRunner, LocalImages], folder: Path
) -> None:
    path = docker_archive(folder / "a.tar", IMAGES["task"].reference)
    with pytest.raises(DevstackError) as caught, local[1].archive(UserImage(archive=path), "k"):
        pass
    assert caught.value.code == "IMAGE_RESERVED"


def test_only_images_that_are_not_the_stacks_are_looked_for(
    local: tuple[FakeRunner, LocalImages],
) -> None:
    runner, images = local
    assert images.find([IMAGES["task"].reference, "registry.k8s.io/pause:3.10"]) == {}
    assert runner.calls == []


def test_docker_is_not_asked_for_thousands_of_texts(local: tuple[FakeRunner, LocalImages]) -> None:
    runner, images = local
    runner.answer("docker", "image", "ls", stdout="team/app:1\nother:1\n")
    image = json.dumps({"RepoTags": ["team/app:1"], "Id": "x", "Size": 1})
    runner.answer("docker", "image", "inspect", stdout=image)
    texts = [f"folder/file-{n}" for n in range(5000)]
    assert list(images.find([*texts, "team/app:1"])) == ["team/app:1"]
    assert runner.argvs[-1][-2:] == ("--", "team/app:1")


def test_a_name_that_docker_rejects_is_no_image(local: tuple[FakeRunner, LocalImages]) -> None:
    runner, images = local
    image = json.dumps({"RepoTags": ["team/app:1"], "Id": "x", "Size": 1})
    refused = "Error response from daemon: invalid reference format"
    runner.answer("docker", "image", "inspect", returncode=1, stdout=image, stderr=refused)
    assert list(images.find(["team/app:1", "odd/name"])) == ["team/app:1"]
