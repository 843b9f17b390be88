"""An API server's validation of objects, by the official client's models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from devstack.kube.client import Object

_QUANTITY_FIELDS = frozenset({"requests", "limits", "capacity", "allocatable", "hard"})
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_PATH_SEGMENT_KINDS = frozenset({"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"})

IMMUTABLE: Mapping[str, tuple[str, ...]] = {
    "Job": ("spec.template", "spec.selector", "spec.completionMode"),
    "Deployment": ("spec.selector",),
    "StatefulSet": ("spec.selector", "spec.serviceName", "spec.volumeClaimTemplates"),
    "ReplicaSet": ("spec.selector",),
    "Service": ("spec.clusterIP",),
    "PersistentVolumeClaim": ("spec.accessModes", "spec.storageClassName", "spec.volumeName"),
    "PersistentVolume": ("spec.hostPath", "spec.local", "spec.nodeAffinity"),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
    "Secret": ("type",),
}
"""Fields that cannot change once they are set."""


@cache
def _models() -> Any:
    from kubernetes.client import models

    return models


@cache
def _model(api_version: str, kind: str) -> Any:
    """Return the model of a kind, or None for a custom resource."""
    version = api_version.rpartition("/")[2]
    prefix = version[0].upper() + version[1:]
    names = (f"{prefix}{kind}", f"Core{prefix}{kind}")
    found = (getattr(_models(), name, None) for name in names)
    return next((each for each in found if each is not None), None)


def unknown_fields(item: Object) -> list[str]:
    """Return the paths of fields that the schema does not have."""
    return [path for path, problem in _problems(item) if problem == "field not declared in schema"]


def schema_errors(item: Object) -> list[str]:
    """Return the fields that are missing or of the wrong type, with what is wrong."""
    return [
        f"{path}: {problem}"
        for path, problem in _problems(item)
        if problem != "field not declared in schema"
    ]


def _problems(item: Object) -> Iterator[tuple[str, str]]:
    model = _model(item["apiVersion"], item["kind"])
    if model is not None:
        yield from _in_model(model, {k: v for k, v in item.items() if k != "status"}, "")


def _in_model(model: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping):
        yield path, f"expected map, got {value!r}"
        return
    names = {json_name: name for name, json_name in model.attribute_map.items()}
    for key, inner in value.items():
        where = f"{path}.{key}"
        if key not in names:
            yield where, "field not declared in schema"
        elif inner is not None:
            quantities = key in _QUANTITY_FIELDS
            yield from _in_type(model.openapi_types[names[key]], inner, where, quantities)
    yield from ((f"{path}.{key}", "Required value") for key in _required(model) - set(value))


@cache
def _required(model: Any) -> frozenset[str]:
    """Return the required fields of the model."""
    from kubernetes.client import Configuration

    blank = model.__new__(model)
    blank.local_vars_configuration = Configuration()
    required = set()
    for name, json_name in model.attribute_map.items():
        try:
            setattr(blank, name, None)
        except ValueError:
            required.add(json_name)
    return frozenset(required)


def _in_type(kind: str, value: Any, path: str, quantities: bool) -> Iterator[tuple[str, str]]:
    if kind.startswith("list["):
        if not isinstance(value, list):
            yield path, f"expected list, got {value!r}"
            return
        for index, item in enumerate(value):
            yield from _in_type(kind[5:-1], item, f"{path}[{index}]", quantities)
    elif kind.startswith("dict"):
        if not isinstance(value, Mapping):
            yield path, f"expected map, got {value!r}"
            return
        for key, item in value.items():
            yield from _in_type(kind[5:-1].split(", ", 1)[1], item, f"{path}.{key}", quantities)
    elif model := getattr(_models(), kind, None):
        yield from _in_model(model, value, path)
    elif not _is_scalar(kind, value, quantities):
        yield path, f"expected {kind}, got {value!r}"


def _is_scalar(kind: str, value: Any, quantities: bool) -> bool:
    if kind in ("bool", "int", "float"):
        wanted = {"bool": bool, "int": int, "float": (int, float)}[kind]
        return isinstance(value, wanted) and isinstance(value, bool) == (kind == "bool")
    if kind == "str":
        return isinstance(value, str) or (quantities and isinstance(value, int | float))
    return True


def naming_errors(item: Object) -> list[str]:
    """Return what is wrong with an object's name and labels."""
    metadata, kind = item["metadata"], item["kind"]
    name = metadata["name"]
    if kind in _PATH_SEGMENT_KINDS:
        valid = name not in (".", "..") and not set(name) & set("/%")
    elif kind in ("Namespace", "Service"):
        valid = bool(_DNS_LABEL.fullmatch(name))
    else:
        valid = len(name) <= 253 and bool(_DNS_SUBDOMAIN.fullmatch(name))
    errors = [] if valid else [f"metadata.name: Invalid value: {name!r}"]
    labels = metadata.get("labels") or {}
    return errors + [
        f"metadata.labels: Invalid value: {value!r}"
        for value in labels.values()
        if not _LABEL_VALUE.fullmatch(value)
    ]


def selector_errors(item: Object) -> list[str]:
    """Return the error of a workload whose selector does not select its own pods."""
    spec = item.get("spec") or {}
    if item["kind"] not in ("Deployment", "StatefulSet", "ReplicaSet", "DaemonSet"):
        return []
    wanted = spec["selector"].get("matchLabels") or {}
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    if wanted.items() <= labels.items():
        return []
    return [
        "spec.template.metadata.labels: Invalid value: `selector` does not match template `labels`"
    ]


def immutable_errors(old: Object, new: Object) -> list[str]:
    """Return the fields that changed and must not."""
    fields = list(IMMUTABLE.get(new["kind"], ()))
    if new["kind"] in ("ConfigMap", "Secret") and old.get("immutable"):
        fields += ["data", "immutable"]
    changed = [
        path for path in fields if _at(old, path) is not None and _at(old, path) != _at(new, path)
    ]
    return [f"{path}: Invalid value: field is immutable" for path in changed]


def _at(item: Any, path: str) -> Any:
    for key in path.split("."):
        item = (item or {}).get(key)
    return item
