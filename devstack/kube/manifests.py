"""Reading the manifests below k8s/, the same files that kubectl and Tilt read."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from devstack.kube.client import Object
from devstack.paths import project_file
from devstack.pools.nodes import POOL_LABEL
from devstack.pools.settings import BASE_POOL

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML built without libyaml, ten times slower
    from yaml import SafeLoader  # type: ignore[assignment]

_KUSTOMIZATION = "kustomization.yaml"
# Anything else in a kustomization would give kubectl other objects than devstack.
_UNDERSTOOD = {"apiVersion", "kind", "resources"}


OWNER_LABEL = "devstack/stack"
"""With the stack's name as value; several stacks may share one cluster."""

OWNER_ANNOTATION = "devstack/owner"
"""With user, machine and state directory as value; two homes may have stacks of one name."""

_BASE_AFFINITY = {
    "requiredDuringSchedulingIgnoredDuringExecution": {
        # One of the terms has to match.
        "nodeSelectorTerms": [
            {"matchExpressions": [{"key": POOL_LABEL, "operator": "DoesNotExist"}]},
            {"matchExpressions": [{"key": POOL_LABEL, "operator": "In", "values": [BASE_POOL]}]},
        ]
    }
}

_PLACED = ("Deployment", "StatefulSet")
# A Job's pod is short-lived, and a Job that exists cannot be changed.

_LABELS = {"app.kubernetes.io/managed-by": "devstack", "app.kubernetes.io/part-of": "devstack"}


def load(service: str) -> list[Object]:
    """Return the objects of ``k8s/<service>``, in the order of its kustomization.

    Raises:
        ValueError: the kustomization has a field that devstack does not support.
    """
    folder = project_file("k8s", service)
    kustomization = _read_file(folder / _KUSTOMIZATION)[0]
    if extra := set(kustomization) - _UNDERSTOOD:
        raise ValueError(f"{folder / _KUSTOMIZATION}: cannot handle {', '.join(sorted(extra))}")
    return [item for name in kustomization["resources"] for item in _read_file(folder / name)]


def read_manifests(file: Path) -> list[Object]:
    """Return the objects of a file of users.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not YAML.
    """
    try:
        return _read_file(file)
    except yaml.YAMLError as broken:
        raise ValueError(str(broken)) from broken


def as_stored(item: Object) -> Object:
    """Return an object as the API stores it: the texts of a Secret's ``stringData`` encoded."""
    texts = item.get("stringData") if item["kind"] == "Secret" else None
    if not isinstance(texts, dict):
        return item
    data = {key: base64.b64encode(str(text).encode()).decode() for key, text in texts.items()}
    kept = {key: value for key, value in item.items() if key != "stringData"}
    return {**kept, "data": {**(item.get("data") or {}), **data}}


def with_images(objects: Iterable[Object], images: Mapping[str, str]) -> list[Object]:
    """Return the objects with the images of the stack.

    Args:
        objects: workloads among them have images such as ``devstack/<name>:<tag>``.
        images: the references by name; other images stay.
    """
    return [
        # The template of an event source has no pod.
        _with_images(item, images) if "spec" in item.get("spec", {}).get("template", {}) else item
        for item in objects
    ]


def with_namespace(objects: Iterable[Object], old: str, new: str) -> list[Object]:
    """Return the objects with namespace ``old`` renamed to ``new`` everywhere."""
    renamed = copy.deepcopy(list(objects))
    for item in renamed:
        metadata = item["metadata"]
        if item["kind"] == "Namespace" and metadata["name"] == old:
            metadata["name"] = new
        for holder in (metadata, *item.get("subjects", [])):
            if holder.get("namespace") == old:
                holder["namespace"] = new
    return renamed


def with_restarts(objects: Iterable[Object], settings: Mapping[str, str]) -> list[Object]:
    """Return the objects with Deployments and StatefulSets that restart when ``settings`` change.

    Pods read Secrets and configuration only when they start; a stack whose state was
    lost, for example, creates new credentials.

    Args:
        objects: of one service.
        settings: what its pods read; only a checksum of it is stored.
    """
    value = checksum(settings)
    return [_with_checksum(item, value) if item["kind"] in _PLACED else item for item in objects]


def checksum(values: object) -> str:
    """Return a checksum of JSON values: sixteen characters."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _with_checksum(workload: Object, value: str) -> Object:
    changed = copy.deepcopy(workload)
    annotations = changed["spec"]["template"]["metadata"].setdefault("annotations", {})
    annotations["devstack/credentials"] = value
    return changed


def with_owner(objects: Iterable[Object], stack: str, owner: str = "") -> list[Object]:
    """Return the objects, marked as one stack's.

    Args:
        objects: the objects.
        stack: the stack's name.
        owner: the state directory, user and machine that the stack belongs to; empty for
            stacks of releases that marked objects with the stack's name only.
    """
    return [{**item, "metadata": _owned(item["metadata"], stack, owner)} for item in objects]


def _owned(metadata: Object, stack: str, owner: str) -> Object:
    owned = {**metadata, "labels": {**metadata.get("labels", {}), OWNER_LABEL: stack}}
    if owner:
        owned["annotations"] = {**metadata.get("annotations", {}), OWNER_ANNOTATION: owner}
    return owned


def on_base_nodes(objects: Iterable[Object]) -> list[Object]:
    """Return the objects, with workloads that keep their place on a cluster of the stack's own.

    Their pods run on the nodes that every cluster has, not on those of pools, which come and go.
    If the machine's memory is short, they are the last to be killed: the kubelet gives
    ``oom_score_adj`` -997 to critical pods of a node only (kubelet: pkg/kubelet/qos/policy.go),
    and up to 999 to others that request little.
    """
    return [_on_base_nodes(item) if item["kind"] in _PLACED else item for item in objects]


def _on_base_nodes(workload: Object) -> Object:
    changed = copy.deepcopy(workload)
    pod = changed["spec"]["template"]["spec"]
    pod["priorityClassName"] = "system-node-critical"
    pod["affinity"] = {"nodeAffinity": _BASE_AFFINITY, **pod.get("affinity", {})}
    return changed


def secret(name: str, namespace: str, values: Mapping[str, str]) -> Object:
    """Return a Secret; its values are in no manifest file."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(_LABELS)},
        "type": "Opaque",
        "data": encoded,
    }


def _read_file(path: Path) -> list[Object]:
    text = path.read_text()
    # Large generated objects are kept as JSON, which reads fifty times faster.
    documents = [json.loads(text)] if path.suffix == ".json" else yaml.load_all(text, SafeLoader)
    return [document for document in documents if document]


def _with_images(workload: Object, images: Mapping[str, str]) -> Object:
    changed = copy.deepcopy(workload)
    pod = changed["spec"]["template"]["spec"]
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        repository = container["image"].rsplit(":", 1)[0]
        name = repository.removeprefix("devstack/")
        if name != repository:
            container["image"] = images.get(name, container["image"])
    return changed
