"""Reading the manifests below k8s/, the same files that kubectl and Tilt read."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from devstack.kube.client import Object
from devstack.paths import project_file

_KUSTOMIZATION = "kustomization.yaml"
# Anything else in a kustomization would make kubectl see other objects than devstack does.
_UNDERSTOOD = {"apiVersion", "kind", "resources"}


_LABELS = {"app.kubernetes.io/managed-by": "devstack", "app.kubernetes.io/part-of": "devstack"}


def load(service: str) -> list[Object]:
    """Return the objects of ``k8s/<service>``, in the order of its kustomization.

    Raises:
        ValueError: the kustomization says more than devstack understands.
    """
    return copy.deepcopy(_read_folder(project_file("k8s", service)))


def with_images(objects: Iterable[Object], images: Mapping[str, str]) -> list[Object]:
    """Return the objects with the images that the stack was brought up with.

    Args:
        objects: workloads among them name images as ``devstack/<name>:<tag>``.
        images: the reference to use by that name; others stay as they are.
    """
    changed = copy.deepcopy(list(objects))
    for container in _containers(changed):
        repository = container["image"].rsplit(":", 1)[0]
        name = repository.removeprefix("devstack/")
        if name != repository:
            container["image"] = images.get(name, container["image"])
    return changed


def with_namespace(objects: Iterable[Object], old: str, new: str) -> list[Object]:
    """Return the objects with namespace ``old`` renamed to ``new`` wherever it is named."""
    renamed = copy.deepcopy(list(objects))
    for item in renamed:
        metadata = item["metadata"]
        if item["kind"] == "Namespace" and metadata["name"] == old:
            metadata["name"] = new
        for place in (metadata, *item.get("subjects", [])):
            if place.get("namespace") == old:
                place["namespace"] = new
    return renamed


def secret(name: str, namespace: str, values: Mapping[str, str]) -> Object:
    """Return a Secret that devstack makes itself, so that no file ever holds it."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(_LABELS)},
        "type": "Opaque",
        "data": encoded,
    }


@cache
def _read_folder(folder: Path) -> list[Object]:
    kustomization = yaml.safe_load((folder / _KUSTOMIZATION).read_text())
    if extra := set(kustomization) - _UNDERSTOOD:
        raise ValueError(f"{folder / _KUSTOMIZATION}: cannot handle {', '.join(sorted(extra))}")
    return [item for name in kustomization["resources"] for item in _read_file(folder / name)]


def _read_file(path: Path) -> list[Object]:
    text = path.read_text()
    # Large generated objects are kept as JSON, which reads fifty times faster.
    documents = [json.loads(text)] if path.suffix == ".json" else yaml.safe_load_all(text)
    return [document for document in documents if document]


def _containers(objects: Iterable[Object]) -> Iterator[dict[str, Any]]:
    for item in objects:
        spec = item.get("spec", {}).get("template", {}).get("spec", {})
        yield from spec.get("initContainers", [])
        yield from spec.get("containers", [])
