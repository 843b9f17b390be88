"""The steps of `up` that get images and load them into the nodes."""

from __future__ import annotations

from collections.abc import Iterable

from devstack.kube.client import Object
from devstack.kube.resources import CORE
from devstack.lifecycle.cluster_steps import ClusterProbe
from devstack.lifecycle.new_nodes import load_missing_images
from devstack.lifecycle.node_loading import NodeLoading
from devstack.lifecycle.step import Step
from devstack.providers.base import LoadsImages, NeedsNodeImage
from devstack.stack import Stack

REPORTED_IMAGES = 50
"""The most images in the status of a node (kubelet: nodeStatusMaxImages)."""


def images_step(stack: Stack, cluster: ClusterProbe, loading: NodeLoading) -> Step:
    """Return the step that pulls or builds the images on this machine.

    For a new cluster it ends as soon as the nodes can be created.
    """
    return Step(
        "images",
        "Get the images",
        is_done=lambda: cluster.responds() and stack.state.images == _references(stack),
        ensure=lambda: _ensure_images(stack, loading, node_exists=cluster.responds()),
        commands=lambda: [
            f"have image {stack.images.reference(name)}" for name in _local_images(stack)
        ],
    )


def remaining_images_step(stack: Stack) -> Step:
    """Return the step that waits for the images that are pulled or built in the background."""
    return Step(
        "remaining-images",
        "Get the remaining images",
        is_done=lambda: bool(stack.state.images),
        ensure=lambda: _finish_images(stack),
    )


def node_images_step(stack: Stack, loading: NodeLoading) -> Step:
    """Return the step after which every node has all images."""
    return Step(
        "node-images",
        "Load the remaining images into the nodes",
        is_done=lambda: _are_loaded(stack),
        ensure=lambda: _finish_loading(stack, loading),
    )


def wait_for_images(stack: Stack, loading: NodeLoading, names: Iterable[str]) -> None:
    """Wait until the nodes have the images called ``names``, if any of the stack's are missing."""
    if not _are_loaded(stack):
        loading.wait(names)


def _are_loaded(stack: Stack) -> bool:
    images = stack.state.images
    return bool(images) and stack.state.loaded == images and not _are_lost(stack)


def _are_lost(stack: Stack) -> bool:
    """Return True if a node reports that it lacks an image which was loaded."""
    if not isinstance(stack.provider, LoadsImages) or not stack.dir.admin_kubeconfig.exists():
        return False
    return any(
        _lacks(node, stack.state.images.values())
        for node in stack.kube().list_objects(CORE, "Node")
    )


def _lacks(node: Object, references: Iterable[str]) -> bool:
    images = node.get("status", {}).get("images") or []
    # A kubelet may have reported none yet; and it reports the largest ones only.
    if not 0 < len(images) < REPORTED_IMAGES:
        return False
    # The default registry, which manifests omit, is part of these names.
    names = [f"/{name}" for image in images for name in image.get("names") or []]
    return not all(any(name.endswith(f"/{each}") for name in names) for each in references)


def _finish_images(stack: Stack) -> None:
    stack.progress.note("waiting for images")
    stack.images.finish()
    stack.state.images = _references(stack)
    stack.save()


def _finish_loading(stack: Stack, loading: NodeLoading) -> None:
    loading.finish()
    load_images(stack)


def load_images(stack: Stack) -> None:
    """Load the images that the nodes lack."""
    load_missing_images(stack)
    stack.state.loaded = dict(stack.state.images)
    stack.save()


def _references(stack: Stack) -> dict[str, str]:
    """Return the references of the images that pods use, by catalogue name."""
    names = {name for service in stack.services for name in service.images} | {"task"}
    return {name: stack.images.reference(name) for name in sorted(names)}


def _local_images(stack: Stack, *, node_exists: bool = False) -> list[str]:
    """Return the images that this machine needs, in order to load them into nodes."""
    provider = stack.provider
    if not isinstance(provider, LoadsImages):
        return []
    node = []
    if isinstance(provider, NeedsNodeImage) and not node_exists:
        node = [provider.node_image(stack.cluster)]
    return [*node, *_references(stack)]


def _ensure_images(stack: Stack, loading: NodeLoading, *, node_exists: bool) -> None:
    """Get the images; for a new cluster only the node's, while the others follow."""
    needed = _local_images(stack, node_exists=node_exists)
    provider = stack.provider
    if (
        isinstance(provider, NeedsNodeImage)
        and not node_exists
        and not all(stack.images.present(needed).values())
    ):
        # While images are built in the background, no other program can be.
        provider.ensure_programs(stack.cluster)
        # Not complete: if this command ends before, the next one gets the images again.
        stack.state.images = {}
        stack.save()
        stack.images.start(needed, needed[0])
    else:
        if needed:
            stack.images.ensure(needed)
        stack.state.images = _references(stack)
        stack.save()
    if not node_exists:
        loading.start()
