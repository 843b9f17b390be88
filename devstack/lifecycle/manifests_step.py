"""The step of `up` that applies the user's own manifests: quotas, limit ranges, and the like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus
from devstack.kube.apply import apply_all, differing
from devstack.kube.client import Object
from devstack.kube.manifests import as_stored, read_manifests, with_owner
from devstack.lifecycle.step import Step
from devstack.stack import Stack


def manifests_steps(stack: Stack) -> list[Step]:
    """Return the step for ``manifests`` of the settings; empty if there are none."""
    if not stack.spec.manifests:
        return []
    return [
        Step(
            "manifests",
            "Apply your manifests",
            is_done=lambda: not differing(stack.kube(), _objects(stack)),
            ensure=lambda: _apply(stack),
            commands=lambda: [f"apply {file}" for file in stack.spec.manifests],
            needs_api=True,
        )
    ]


def require_manifests(stack: Stack) -> None:
    """Refuse ``manifests`` that cannot be applied, before anything is changed.

    Raises:
        DevstackError: ``MANIFESTS_UNSUPPORTED``, or ``MANIFESTS_INVALID`` with every mistake.
    """
    if not stack.spec.manifests:
        return
    if not stack.provider.owns_cluster:
        raise DevstackError(
            "cannot apply your manifests",
            cause=f"the cluster of provider {stack.provider.name!r} has users besides this stack",
            remedy="apply them with kubectl, and remove `manifests` from devstack.toml",
            code="MANIFESTS_UNSUPPORTED",
            exit_status=ExitStatus.USAGE,
        )
    _read_all(stack.spec.manifests)


def _objects(stack: Stack) -> list[Object]:
    """Return the objects of all files; those without a namespace get that of task pods."""
    found = _read_all(stack.spec.manifests)
    for item in found:
        if stack.kube().resource(item["apiVersion"], item["kind"]).namespaced:
            item["metadata"].setdefault("namespace", stack.state.namespace)
    return with_owner(found, stack.spec.name, stack.state.owner)


def _read_all(files: Iterable[str]) -> list[Object]:
    """Return the objects of all files.

    Raises:
        DevstackError: ``MANIFESTS_INVALID`` with every mistake.
    """
    objects: list[Object] = []
    mistakes: dict[str, str] = {}
    for file in files:
        try:
            found = read_manifests(Path(file))
        except (OSError, ValueError) as error:
            mistakes[file] = str(error)
            continue
        if not all(map(_is_complete, found)):
            mistakes[file] = "an object lacks apiVersion, kind or metadata.name"
        objects += found
    if mistakes:
        raise _invalid(mistakes)
    return [as_stored(item) for item in objects]


def _is_complete(item: object) -> bool:
    if not isinstance(item, dict) or not item.get("apiVersion") or not item.get("kind"):
        return False
    metadata = item.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("name"))


def _invalid(mistakes: Mapping[str, str]) -> DevstackError:
    return DevstackError(
        f"cannot read the manifests of {', '.join(mistakes)}",
        cause="; ".join(mistakes.values()),
        remedy="correct it, or remove it from `manifests` in devstack.toml",
        code="MANIFESTS_INVALID",
        exit_status=ExitStatus.USAGE,
    )


def _apply(stack: Stack) -> None:
    apply_all(
        stack.kube(),
        _objects(stack),
        timeout=stack.spec.timeout,
        clock=stack.clock,
        note=stack.progress.note,
    )
