from __future__ import annotations

from pathlib import Path

import pytest

from devstack.kube import manifests
from tests.fakes.api import decoded


def test_each_caller_gets_objects_of_its_own() -> None:
    manifests.load("rbac")[0]["metadata"]["name"] = "changed"
    assert manifests.load("rbac")[0]["metadata"]["name"] == "metaflow"


def test_the_namespace_is_renamed_everywhere() -> None:
    renamed = manifests.with_namespace(manifests.load("rbac"), "metaflow", "flows")
    assert renamed[0]["metadata"]["name"] == "flows"
    assert {item["metadata"]["namespace"] for item in renamed[1:]} == {"flows"}
    (binding,) = (item for item in renamed if item["kind"] == "RoleBinding")
    assert binding["subjects"][0]["namespace"] == "flows"


def test_names_that_only_look_like_the_namespace_stay() -> None:
    names = {item["metadata"]["name"] for item in manifests.load("rbac")[1:]}
    renamed = manifests.with_namespace(manifests.load("rbac"), "metaflow", "flows")
    assert {item["metadata"]["name"] for item in renamed[1:]} == names


def test_images_are_those_of_the_stack() -> None:
    images = {"minio": "registry.example/minio:2"}
    (deployment,) = _deployments(manifests.with_images(manifests.load("minio"), images))
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == images["minio"]


def test_images_that_the_stack_does_not_know_stay() -> None:
    (deployment,) = _deployments(manifests.with_images(manifests.load("minio"), {}))
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.startswith("devstack/minio:")


def test_a_secret_keeps_its_values() -> None:
    made = manifests.secret("s", "ns", {"KEY": "välue"})
    assert decoded(made) == {"KEY": "välue"}
    assert made["metadata"]["namespace"] == "ns"


def test_an_unsupported_field_of_a_kustomization_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: []\nnamePrefix: x-\n")
    monkeypatch.setattr(manifests, "project_file", lambda *_: tmp_path)
    with pytest.raises(ValueError, match="cannot handle namePrefix"):
        manifests.load("anything")


def _deployments(objects: list[manifests.Object]) -> list[manifests.Object]:
    return [item for item in objects if item["kind"] == "Deployment"]
