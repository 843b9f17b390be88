from __future__ import annotations

import pytest

from devstack.image_names import split_registry
from devstack.images.mirrors import Mirrors

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("python", ("docker.io", "library/python")),
        ("python:3.11", ("docker.io", "library/python:3.11")),
        ("team/app", ("docker.io", "team/app")),
        ("docker.io/python:3", ("docker.io", "library/python:3")),
        ("index.docker.io/team/app", ("docker.io", "team/app")),
        (f"docker.io/kindest/node:v1@{DIGEST}", ("docker.io", f"kindest/node:v1@{DIGEST}")),
        ("localhost/app", ("localhost", "app")),
        ("mirror:5000/a/b:1", ("mirror:5000", "a/b:1")),
        ("quay.io/minio/minio", ("quay.io", "minio/minio")),
    ],
)
def test_the_registry_of_a_name(reference: str, parts: tuple[str, str]) -> None:
    assert split_registry(reference) == parts


@pytest.mark.parametrize(
    ("reference", "place"),
    [
        ("python:3.11", "registry.corp:5000/hub/library/python:3.11"),
        ("docker.io/team/app:1", "registry.corp:5000/hub/team/app:1"),
        (f"kindest/node:v1@{DIGEST}", f"registry.corp:5000/hub/kindest/node:v1@{DIGEST}"),
        ("registry.k8s.io/pause:3.10", "k8s.corp/pause:3.10"),
        ("quay.io/minio/minio:1", "quay.io/minio/minio:1"),
        ("registry.corp:5000/team/app", "registry.corp:5000/team/app"),
    ],
)
def test_images_are_pulled_from_the_mirror_of_their_registry(reference: str, place: str) -> None:
    mirrors = Mirrors.from_settings(
        {"docker.io": "registry.corp:5000/hub", "registry.k8s.io": "k8s.corp", "quay.io": ""}
    )
    assert mirrors.resolve(reference) == place


@pytest.mark.parametrize(
    ("reference", "place"),
    [
        ("python", "harbor.corp/hub/library/python"),
        ("quay.io/minio/minio", "nexus.corp/minio/minio"),
        ("ghcr.io/team/app", "ghcr.io/team/app"),
        ("harbor.corp/team/app", "harbor.corp/team/app"),
        ("nexus.corp/team/app", "nexus.corp/team/app"),
    ],
)
def test_the_mirror_of_every_other_registry_serves_neither_mirrors_nor_exceptions(
    reference: str, place: str
) -> None:
    mirrors = Mirrors.from_settings(
        {"docker.io": "harbor.corp/hub", "*": "nexus.corp", "ghcr.io": "ghcr.io"}
    )
    assert mirrors.resolve(reference) == place
