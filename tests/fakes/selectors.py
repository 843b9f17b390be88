"""Label and field selectors of a fake Kubernetes API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from devstack.kube.client import Object

_FIELDS_OF_ALL = {"metadata.name", "metadata.namespace"}
_FIELDS = {
    "certificatesigningrequests": {"spec.signerName"},
    "pods": {"spec.nodeName", "status.phase", "spec.restartPolicy"},
    "events": {
        "involvedObject.name",
        "involvedObject.kind",
        "involvedObject.uid",
        "reason",
        "type",
    },
}
"""The field selectors that a server supports."""


@dataclass(frozen=True)
class RejectionError(Exception):
    """What the server answers to a request that it does not carry out."""

    status: int
    reason: str
    message: str


def matches(item: Object, query: Mapping[str, str]) -> bool:
    """Return True if the query's label and field selectors select an object."""
    labels = item["metadata"].get("labels", {})
    for field, unequal, value in _requirements(query.get("fieldSelector", "")):
        if (_at(item, field) == value) == unequal:
            return False
    # A label without a value has to exist; field selectors have no such form.
    pairs = [pair for pair in query.get("labelSelector", "").split(",") if pair]
    existing = [pair for pair in pairs if "=" not in pair]
    return all(key in labels for key in existing) and all(
        (labels.get(key) == value) != unequal
        for key, unequal, value in _requirements(",".join(set(pairs) - {*existing}))
    )


def require_field_labels(path: str, query: Mapping[str, str]) -> None:
    """Reject a field selector that a server does not support for the kind in ``path``."""
    own = _FIELDS.get(path.rsplit("/", 1)[1], set())
    for field, _, _ in _requirements(query.get("fieldSelector", "")):
        if field not in _FIELDS_OF_ALL | own:
            known = f"field label not supported: {field}"
            text = known if own else f'"{field}" is not a known field selector'
            raise RejectionError(400, "BadRequest", text)


def _requirements(selector: str) -> Iterator[tuple[str, bool, str]]:
    """Yield key, whether the value must be another one, and value of each requirement."""
    for pair in filter(None, selector.split(",")):
        key, separator, value = pair.partition("=")
        if not separator:
            raise RejectionError(400, "BadRequest", f"unable to parse requirement: {pair}")
        yield key.removesuffix("!"), key.endswith("!"), value.removeprefix("=")


def _at(item: Object, field: str) -> str:
    value: Any = item
    for key in field.split("."):
        value = (value or {}).get(key)
    return str(value or "")
