"""How `up` would get the stack's images: which are absent, and which of them would be built."""

from __future__ import annotations

from devstack.doctor.engine import find_engine
from devstack.errors import DevstackError
from devstack.images.catalogue import find_image, find_images
from devstack.providers.base import HasEngine, NeedsNodeImage
from devstack.stack import Stack


def absent_images(stack: Stack) -> list[str]:
    """Return the names of the stack's images, the nodes' included, that the engine lacks."""
    names = {name for service in stack.services for name in service.images}
    if isinstance(stack.provider, NeedsNodeImage):
        names.add(stack.provider.node_image(stack.cluster))
    return sorted(name for name, there in stack.images.present(sorted(names)).items() if not there)


def find_unreachable(stack: Stack) -> dict[str, DevstackError]:
    """Return why `up` could not pull images that are absent, by registry or mirror.

    No registry is asked if `up` would pull nothing.
    """
    if stack.is_up or stack.spec.offline or stack.spec.images == "build":
        return {}
    absent = _published(absent_images(stack))
    return stack.images.find_unreachable(absent) if absent else {}


def may_compile(stack: Stack) -> bool:
    """Return True if `up` would build published images from packages, or may have to.

    Images of devstack's own are built in any case; they need little.
    """
    if stack.is_up or stack.spec.offline or stack.spec.images == "pull":
        return False
    if isinstance(stack.provider, HasEngine) and find_engine(stack) is None:
        return True
    try:
        absent = _published(absent_images(stack))
        built = stack.spec.images == "build" or _cannot_boot(stack, absent)
        return bool(absent and (built or stack.images.find_unreachable(absent)))
    except DevstackError:
        return True  # the engine cannot be asked, which another check reports


def must_build_nodes(stack: Stack) -> bool:
    """Return True if `up` would build the node image, or may have to."""
    if not isinstance(stack.provider, NeedsNodeImage) or not may_compile(stack):
        return False
    return stack.provider.node_image(stack.cluster) in absent_images(stack)


def _cannot_boot(stack: Stack, absent: list[str]) -> bool:
    """Return True if an image must be built because the published one needs cgroup v2."""
    needs = any(find_image(name).needs_cgroup_v2 for name in absent)
    engine = find_engine(stack) if needs else None
    return engine is not None and engine.describe_engine().cgroup_v1


def _published(names: list[str]) -> list[str]:
    return [image.name for image in find_images(names) if image.upstream] if names else []
