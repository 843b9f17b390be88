"""The step of `up` that applies the user's own manifests: quotas, limit ranges, and the like."""

from __future__ import annotations

from pathlib import Path

from devstack.errors import DevstackError, ExitStatus
from devstack.kube.apply import apply_all, differing
from devstack.kube.client import Object
from devstack.kube.manifests import read_manifests, with_owner
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


def _objects(stack: Stack) -> list[Object]:
    """Return the objects of all files; those without a namespace get that of task pods."""
    if not stack.provider.owns_cluster:
        raise DevstackError(
            "cannot apply your manifests",
            cause=f"the cluster of provider {stack.provider.name!r} has users besides this stack",
            remedy="apply them with kubectl, and remove `manifests` from devstack.toml",
            code="MANIFESTS_UNSUPPORTED",
            exit_status=ExitStatus.USAGE,
        )
    found = [item for file in stack.spec.manifests for item in _read(Path(file))]
    for item in found:
        if stack.kube().resource(item["apiVersion"], item["kind"]).namespaced:
            item["metadata"].setdefault("namespace", stack.state.namespace)
    return with_owner(found, stack.spec.name, stack.state.owner)


def _read(file: Path) -> list[Object]:
    try:
        objects = read_manifests(file)
        incomplete = [item for item in objects if not _is_complete(item)]
    except (OSError, ValueError) as error:
        raise _invalid(file, str(error)) from error
    if incomplete:
        raise _invalid(file, "an object lacks apiVersion, kind or metadata.name")
    return objects


def _is_complete(item: object) -> bool:
    if not isinstance(item, dict) or not item.get("apiVersion") or not item.get("kind"):
        return False
    metadata = item.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("name"))


def _invalid(file: Path, cause: str) -> DevstackError:
    return DevstackError(
        f"cannot read the manifests of {file}",
        cause=cause,
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
