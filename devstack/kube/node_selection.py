"""Which nodes a pod may run on, regardless of free resources: labels, node affinity, taints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from devstack.kube.client import Object
from devstack.pools.taints import format_taint


def node_mismatch(pod: Object, node: Object) -> str:
    """Return why a pod may not run on a node, or an empty string.

    Affinity to other pods is not considered.
    """
    if node.get("spec", {}).get("unschedulable"):
        return "is cordoned"
    if mismatches := label_mismatches(pod, node):
        return mismatches[0]
    return next((f"has the taint {each}" for each in untolerated_taints(pod, node)), "")


def label_mismatches(pod: Object, node: Object) -> list[str]:
    """Return what of the pod's node selector or required node affinity a node does not have."""
    labels = node["metadata"].get("labels") or {}
    found = [
        f"has no label {key}={value}"
        for key, value in (pod["spec"].get("nodeSelector") or {}).items()
        if labels.get(key) != value
    ]
    terms = required_terms(pod)
    if terms is not None and not matches_terms(node, terms):
        found.append(f"has other labels than {format_affinity(pod)}")
    return found


def untolerated_taints(pod: Object, node: Object) -> list[str]:
    """Return the taints of a node that keep a pod off it."""
    return [
        format_taint(taint)
        for taint in node.get("spec", {}).get("taints") or []
        if not _tolerates(pod, taint)
    ]


def format_affinity(pod: Object) -> str:
    """Return the required node affinity: "zone In (a, b) and gpu Exists, or zone In (c)"."""
    terms = required_terms(pod) or []
    return ", or ".join(
        " and ".join(_format_requirement(each) for each in _requirements(term)) for term in terms
    )


def required_terms(pod: Object) -> list[Object] | None:
    """Return the terms of the required node affinity, of which a node has to match one."""
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return None if required is None else required.get("nodeSelectorTerms") or []


def matches_terms(node: Object, terms: Iterable[Object]) -> bool:
    """Return True if a node matches one of the terms of a node selector."""
    return any(_matches_term(node, term) for term in terms)


def _requirements(term: Object) -> list[Object]:
    return [*(term.get("matchExpressions") or []), *(term.get("matchFields") or [])]


def _matches_term(node: Object, term: Object) -> bool:
    # The API defines that an empty term matches nothing.
    if not _requirements(term):
        return False
    labels = node["metadata"].get("labels") or {}
    fields = {"metadata.name": node["metadata"]["name"]}
    return all(_matches(labels, each) for each in term.get("matchExpressions") or []) and all(
        _matches(fields, each) for each in term.get("matchFields") or []
    )


def _matches(labels: Mapping[str, str], requirement: Object) -> bool:
    operator, values = requirement["operator"], requirement.get("values") or []
    value = labels.get(requirement["key"])
    if operator == "DoesNotExist":
        return value is None
    if operator == "NotIn":
        return value not in values
    if value is None:
        return False
    if operator == "Exists":
        return True
    if operator == "In":
        return value in values
    return _compares(value, operator, values)


def _compares(value: str, operator: str, values: list[Any]) -> bool:
    try:
        number, limit = int(value), int(values[0])
    except (ValueError, IndexError):
        return False
    return number > limit if operator == "Gt" else operator == "Lt" and number < limit


def _format_requirement(requirement: Object) -> str:
    values = ", ".join(str(value) for value in requirement.get("values") or [])
    return f"{requirement['key']} {requirement['operator']}" + (f" ({values})" if values else "")


def _tolerates(pod: Object, taint: Object) -> bool:
    if taint["effect"] == "PreferNoSchedule":
        return True
    return any(_tolerated_by(each, taint) for each in pod["spec"].get("tolerations") or [])


def _tolerated_by(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    exists: bool = toleration.get("operator", "Equal") == "Exists"
    if not toleration.get("key"):
        return exists
    same_value: bool = exists or toleration.get("value", "") == taint.get("value", "")
    same_key: bool = toleration["key"] == taint["key"]
    return same_key and same_value
