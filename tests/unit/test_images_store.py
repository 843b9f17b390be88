"""Where images come from: Docker, a registry, packages; and the error if there is none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from devstack.docker.client import KEY_LABEL
from devstack.errors import DevstackError
from devstack.images import ImageStore, registries
from devstack.images import build as recipes
from devstack.images.catalogue import IMAGES
from tests.fakes.runner import FakeRunner, Recorder

INSPECT = ("docker", "image", "inspect")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVSTACK_CACHE", str(tmp_path))


def image(name: str, key: str | None) -> str:
    labels = {KEY_LABEL: key} if key else {}
    reference = IMAGES[name].reference
    return json.dumps({"RepoTags": [reference], "Size": 5, "Config": {"Labels": labels}}) + "\n"


def docker(*present: str, returncode: int = 0) -> FakeRunner:
    runner = FakeRunner()
    lacking = "Error: No such image: x" if returncode else ""
    runner.answer(*INSPECT, stdout="".join(present), stderr=lacking, returncode=returncode)
    return runner


def store(runner: FakeRunner, source: str = "auto", offline: bool = False) -> ImageStore:
    return ImageStore(runner, Recorder(), source, offline)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def build(wanted: Sequence[str], *_: object) -> list[object]:
        names.extend(wanted)
        return []

    monkeypatch.setattr(recipes, "build_images", build)
    return names


def reach(monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    monkeypatch.setattr(registries, "is_reachable", lambda reference: answer)


def test_present_images_cost_one_docker_call(built: list[str]) -> None:
    runner = docker(*(image(name, recipes.image_key(name)) for name in ("minio", "jobset")))
    references = store(runner).ensure(["minio", "jobset"])
    assert references == {name: IMAGES[name].reference for name in ("minio", "jobset")}
    assert len(runner.calls) == 1
    assert built == []


def test_a_pulled_image_counts_as_present() -> None:
    assert store(docker(image("minio", None))).present(["minio"]) == {"minio": True}


def test_an_image_built_from_other_inputs_is_outdated_and_built_again(built: list[str]) -> None:
    runner = docker(image("task", "0123456789abcdef"))
    assert store(runner).rows(["task"])[0].source == "outdated"
    store(runner, "build").ensure(["task"])
    assert built == ["task"]


def test_auto_builds_if_no_registry_answers(
    built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reach(monkeypatch, False)
    store(docker(returncode=1)).ensure(["minio", "jobset"])
    assert built == ["minio", "jobset"]


def test_auto_pulls_if_the_registry_answers_and_tags_as_manifests_do(
    built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reach(monkeypatch, True)
    runner = docker(returncode=1)
    runner.answer("docker", "pull")
    runner.answer("docker", "tag")
    store(runner).ensure(["minio"])
    assert ("docker", "tag", IMAGES["minio"].upstream, IMAGES["minio"].reference) in runner.argvs
    assert built == []


def test_auto_builds_what_a_reachable_registry_does_not_have(
    built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reach(monkeypatch, True)
    runner = docker(returncode=1)
    runner.answer("docker", "pull", returncode=1, stderr="manifest unknown")
    progress = Recorder()
    ImageStore(runner, progress).ensure(["minio"])
    assert built == ["minio"]
    assert any(
        event[0] == "warn" and "building it instead" in event[1] for event in progress.events
    )


def test_pull_does_not_build(built: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    reach(monkeypatch, False)
    with pytest.raises(DevstackError) as caught:
        store(docker(returncode=1), "pull").ensure(["jobset"])
    assert caught.value.code == "IMAGE_UNAVAILABLE"
    assert IMAGES["jobset"].upstream in caught.value.message
    assert built == []


def test_offline_fetches_nothing_and_names_the_missing_images(built: list[str]) -> None:
    runner = docker(image("minio", None), returncode=1)
    with pytest.raises(DevstackError) as caught:
        store(runner, offline=True).ensure(["minio", "task", "jobset"])
    assert caught.value.code == "IMAGES_MISSING"
    assert IMAGES["task"].reference in caught.value.cause
    assert IMAGES["minio"].reference not in caught.value.cause
    assert "images load" in caught.value.remedy
    assert built == []
    assert {argv[:3] for argv in runner.argvs} == {INSPECT}


def test_docker_that_does_not_answer_is_no_missing_image() -> None:
    runner = FakeRunner()
    runner.answer(*INSPECT, returncode=1, stderr="Cannot connect to the Docker daemon")
    with pytest.raises(DevstackError) as caught:
        store(runner).ensure(["minio"])
    assert caught.value.code == "DOCKER_STOPPED"


def test_an_unknown_image_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(DevstackError) as caught:
        store(docker()).reference("nginx")
    assert caught.value.code == "IMAGE_UNKNOWN"
    assert "minio" in caught.value.remedy
