"""The images that a user's Dockerfile builds upon come through mirrors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devstack.docker.client import DockerClient
from devstack.docker.registries import EngineRefusedError
from devstack.images import registries
from devstack.images.base_images import find_base_images, pull_base_images
from devstack.images.mirrors import Mirrors
from tests.fakes.runner import FakeRunner, Recorder

DOCKERFILE = """\
# syntax=docker/dockerfile:1
ARG VERSION=3.11
ARG TOOLS
FROM --platform=$BUILDPLATFORM python:${VERSION}-slim AS base
from team/tools AS tools
FROM $TOOLS
FROM scratch
FROM python@sha256:12
FROM base
COPY --from=tools /a /b
COPY --chown=1:1 \\
  --from=ghcr.io/astral-sh/uv:0.9 /uv /bin/
COPY --from=0 /c /d
RUN echo FROM nothing:1
"""


def test_the_images_of_a_dockerfile() -> None:
    assert find_base_images(DOCKERFILE) == [
        "python:3.11-slim",
        "team/tools:latest",
        "ghcr.io/astral-sh/uv:0.9",
    ]


def pull(folder: Path, runner: FakeRunner, **mirrors: str) -> Recorder:
    file = folder / "Dockerfile"
    file.write_text(DOCKERFILE)
    found = Mirrors({name.replace("_", "."): place for name, place in mirrors.items()})
    progress = Recorder()
    pull_base_images(DockerClient(runner), file, found, progress)
    return progress


def test_what_docker_lacks_is_pulled_from_the_mirror_and_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = FakeRunner()
    present = json.dumps({"RepoTags": ["team/tools:latest"], "Size": 5})
    runner.answer("docker", "image", "inspect", returncode=1, stdout=present, stderr="No such")
    runner.answer("docker")
    pulled: list[str] = []
    monkeypatch.setattr(registries, "pull_image", lambda reference, *_: pulled.append(reference))
    pull(tmp_path, runner, docker_io="registry.corp:5000/hub")
    place = "registry.corp:5000/hub/library/python:3.11-slim"
    assert pulled == [place]
    assert runner.argvs[1:] == [
        ("docker", "tag", place, "python:3.11-slim"),
        ("docker", "rmi", place),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "FROM scratch AS Base\nFROM base\n",
        "FROM scratch\nRUN <<EOF\nSELECT 1\nFROM events\nEOF\n",
        "FROM scratch\nRUN true && \\\n  cat <<-'EOF' >a\n\tFROM events\n\tEOF\n",
        "FROM scratch\nCOPY <<ONE <<TWO /\nFROM a\nONE\nFROM b\nTWO\n",
    ],
)
def test_what_only_resembles_an_image_is_none(text: str) -> None:
    assert find_base_images(text) == []


def test_what_is_no_heredoc_hides_no_image() -> None:
    text = "FROM a:1\nRUN cat <<<EOF && echo $((1<<X))\nFROM b:1\n"
    assert find_base_images(text) == ["a:1", "b:1"]


def test_without_a_mirror_the_engine_pulls_by_itself(tmp_path: Path) -> None:
    runner = FakeRunner()
    pull(tmp_path, runner)
    pull(tmp_path, runner, quay_io="registry.corp:5000/quay")
    assert runner.argvs == []


def test_an_image_that_its_mirror_lacks_is_named_and_left_to_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise EngineRefusedError("manifest unknown")

    monkeypatch.setattr(registries, "pull_image", refuse)
    runner = FakeRunner()
    runner.answer("docker", "image", "inspect", returncode=1, stderr="No such image")
    progress = pull(tmp_path, runner, ghcr_io="harbor.corp/ghcr")
    (warning,) = (event[1] for event in progress.events if event[0] == "warn")
    assert "harbor.corp/ghcr/astral-sh/uv:0.9: harbor.corp does not have it" in warning
    assert "skopeo copy" in warning
