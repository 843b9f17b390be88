"""The check of the stack's images: on the nodes, up to date, or obtainable."""

from __future__ import annotations

from devstack.doctor.check import BY_DEGREE, Check, Fault, Finding, NotApplicableError
from devstack.doctor.engine import find_engine, require_engine
from devstack.doctor.obtaining import absent_images, must_build_nodes
from devstack.images.mirrors import Mirrors
from devstack.providers.base import HasEngine, LoadsImages
from devstack.stack import Stack


def _images(stack: Stack) -> list[Finding]:
    if not isinstance(stack.provider, LoadsImages):
        raise NotApplicableError("the nodes pull images themselves")
    if isinstance(stack.provider, HasEngine):
        require_engine(stack)
    found = _unreachable(stack)
    if not stack.is_up:
        return found or _unbuildable(stack) or _obtainable(stack)
    return [*found, *_missing(stack, stack.provider), *_outdated(stack)]


def _unreachable(stack: Stack) -> list[Finding]:
    """Return the mirrors that the engine does not reach; with images = "pull", all registries.

    Otherwise images are built if no registry is reached, and it is not asked.
    """
    spec, pulls = stack.spec, stack.spec.images == "pull" and not stack.is_up
    if spec.offline or spec.images == "build" or not (spec.mirror or pulls):
        return []
    mirrors = Mirrors.from_settings(spec.mirror).hosts
    severity = "error" if pulls else "warning"
    return [
        Finding(error.cause or str(error), error.remedy, error.code, severity)
        for registry, error in stack.images.find_unreachable().items()
        if pulls or registry in mirrors
    ]


def _missing(stack: Stack, provider: LoadsImages) -> list[Finding]:
    present = provider.images_present(stack.cluster)
    missing = sorted(set(stack.state.images.values()) - present)
    if not missing:
        return []
    cause = f"the nodes lack {', '.join(missing)}: pods that need them do not start"
    return [
        Finding(
            cause, "devstack up loads them again, once the kubelet has noticed", "IMAGE_MISSING"
        )
    ]


def _outdated(stack: Stack) -> list[Finding]:
    state = stack.state.images
    outdated = [name for name, used in state.items() if stack.images.reference(name) != used]
    if not outdated:
        return []
    cause = f"this devstack has other versions of {', '.join(sorted(outdated))} than the stack runs"
    return [Finding(cause, "devstack up replaces them", "IMAGE_OUTDATED", "warning")]


def _unbuildable(stack: Stack) -> list[Finding]:
    """Return a finding if `up` has to build node images, but the engine cannot."""
    engine = find_engine(stack)
    options = engine.describe_engine().info.get("SecurityOptions") if engine else ()
    if "name=userns" not in (options or ()) or not must_build_nodes(stack):
        return []
    cause = "the node image has to be built, but not in an engine that maps users (userns-remap)"
    remedy = 'devstack images load FILE brings it; or remove "userns-remap" from daemon.json'
    return [Finding(cause, remedy, "IMAGE_UNAVAILABLE")]


def _obtainable(stack: Stack) -> list[Finding]:
    """Return a finding if `up` could not get an image: nothing may be fetched, and it is absent.

    Raises:
        NotApplicableError: `up` is to get images.
    """
    absent = absent_images(stack)
    if not absent:
        return []
    if not stack.spec.offline:
        raise NotApplicableError(f"devstack up is to get {len(absent)} of the stack's images")
    cause = f"nothing may be fetched (offline), but {', '.join(absent)} is not here"
    remedy = "devstack images load FILE brings a bundle; or set offline to false"
    return [Finding(cause, remedy, "IMAGE_UNAVAILABLE")]


IMAGES_CHECKS = (
    Check(
        "images",
        "the stack's images are there and up to date",
        _images,
        (
            Fault(
                "IMAGE_MISSING",
                "A node lost an image of the stack, for example to `crictl rmi --prune`.",
                "`devstack up` loads it again, once the kubelet has noticed (30 seconds).",
            ),
            Fault(
                "IMAGE_OUTDATED",
                "devstack was upgraded; the stack still runs the images of the earlier release.",
                "`devstack up` replaces them.",
                "warning",
            ),
            Fault(
                "REGISTRY_UNREACHABLE",
                "The engine does not reach a mirror of `[images] mirror`, or with `images = "
                '"pull"` a registry. Other faults of registries have codes of their own.',
                "Correct the mirror or the engine's proxy: [images.md](images.md).",
                BY_DEGREE,
            ),
            Fault(
                "IMAGE_UNAVAILABLE",
                "An image is not in the engine, and nothing may be fetched (`offline`); or a node "
                "image has to be built, which an engine that maps users (userns-remap) cannot.",
                "`devstack images load FILE`, or set `offline = false`.",
            ),
        ),
    ),
)
