"""Images of users on a running stack: adding them, replacing them, listing them.

What was added is recorded in the stack's directory, so that `devstack run` sees with one look
whether this machine has a later version.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from devstack.errors import DevstackError, ExitStatus
from devstack.image_names import familiar, is_latest
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.user_images import LocalImages, UserImage, find_user_image
from devstack.progress import step
from devstack.providers.base import AddsImages
from devstack.stack import Stack, require_up

RECORD = "images.json"
"""The name of the record, in the stack's directory."""

FROM_FILE, FROM_MACHINE = "file", "machine"


@dataclass(frozen=True)
class AddedImage:
    """An image that a user added.

    Attributes:
        reference: its name.
        id: its id on this machine when it was added; that on the nodes if Docker lacked it.
        node_id: its id on the nodes.
        size: bytes of its layers.
        source: :data:`FROM_FILE` or :data:`FROM_MACHINE`.
    """

    reference: str
    id: str
    node_id: str
    size: int
    source: str


@dataclass(frozen=True)
class ListedImage:
    """An image that a user added, as `devstack images list` shows it.

    Attributes:
        reference: its name.
        id: its id on the nodes.
        size: bytes of its layers.
        state: "current"; "outdated" if this machine has another version; "lost" if a node
            lacks it; "unknown" if the nodes do not run.
    """

    reference: str
    id: str
    size: int
    state: str


def add_image(stack: Stack, argument: str, name: str = "") -> tuple[list[AddedImage], bool]:
    """Put an image on all nodes of a stack; return it, and whether anything changed.

    Args:
        stack: a stack that is up.
        argument: the name of an image of this machine, an archive or a Dockerfile.
        name: what to call the image of an archive or a Dockerfile.

    Raises:
        DevstackError: ``STACK_DOWN``, ``IMAGES_UNSUPPORTED``, or see
            :func:`devstack.images.user_images.find_user_image` and ``LocalImages.archive``.
    """
    require_up(stack)
    provider = _provider(stack)
    image = find_user_image(argument, name)
    with _locked(stack), step(stack.progress, f"Add {image.reference or argument} to the nodes"):
        _require_running(stack)
        record = _read(stack)
        if not image.archive and not image.build_file:
            current = _unchanged(stack, provider, image.reference, record)
            if current:
                _write(stack, {**record, current.reference: current})
                return [current], False
        return _add(stack, provider, image, record), True


def ensure_current_images(stack: Stack, names: Collection[str]) -> list[AddedImage]:
    """Put images on the nodes that this machine has and the nodes lack, or have otherwise.

    Args:
        stack: a stack that is up.
        names: what may be names of images, in the familiar form. Images that were added before
            are looked at in any case.

    Returns:
        The images that were added or replaced.

    Raises:
        DevstackError: an image in ``names`` cannot be added. Others only cause a warning.
    """
    provider = stack.provider
    if not isinstance(provider, AddsImages):
        return []
    record = _read(stack)
    tracked = {name for name, each in record.items() if each.source == FROM_MACHINE}
    changed = [
        name
        for name, local in _local(stack).find(tracked | set(names)).items()
        if name not in record or record[name].id != local.id
    ]
    added: list[AddedImage] = []
    for name in changed:
        if name in record and record[name].source == FROM_FILE:
            stack.progress.warn(
                f"{name} on the nodes is from a file, and this machine has another one since:"
                f" devstack images add {name} replaces it"
            )
            continue
        try:
            added += _ensure_current(stack, provider, name)
        except DevstackError as error:
            if name in names:
                raise
            stack.progress.warn(f"{name} is not updated on the nodes: {error.cause or error}")
    return added


def _ensure_current(stack: Stack, provider: AddsImages, name: str) -> list[AddedImage]:
    with _locked(stack):
        record = _read(stack)
        current = _unchanged(stack, provider, name, record)
        if current:
            _write(stack, {**record, name: current})
            return []
        with step(stack.progress, f"Add {name} of this machine to the nodes"):
            return _add(stack, provider, UserImage(name), record)


def supply_image(stack: Stack, name: str) -> bool:
    """Put an image that a pod waits for on the nodes; return False if this machine lacks it."""
    provider, name = stack.provider, familiar(name)
    if not isinstance(provider, AddsImages) or not _local(stack).find([name]):
        return False
    with _locked(stack), step(stack.progress, f"Add {name} of this machine to the nodes"):
        _add(stack, provider, UserImage(name), _read(stack))
    return True


def is_added(stack: Stack, name: str) -> bool:
    """Return True if an image was put on the nodes of the stack's present cluster."""
    return familiar(name) in _read(stack)


def supply_added_images(stack: Stack) -> None:
    """Put the images that users added on nodes that lack them, as far as this machine has them."""
    provider = stack.provider
    record = _read(stack)
    if not record or not isinstance(provider, AddsImages):
        return
    present = provider.image_ids(stack.cluster)
    for name in record:
        if name not in present:
            supply_image(stack, name)


def latest_names(stack: Stack) -> list[str]:
    """Return the added images with the tag ``latest``, which no registry may have."""
    return sorted(filter(is_latest, _read(stack)))


def list_added(stack: Stack) -> list[ListedImage]:
    """Return the images that users added, by name."""
    record = _read(stack)
    provider = stack.provider
    if not record or not isinstance(provider, AddsImages):
        return []
    running = provider.status(stack.cluster).state == "running"
    on_nodes = provider.image_ids(stack.cluster) if running else None
    local = {name: each.id for name, each in _local(stack).find(record).items()}
    return [
        ListedImage(name, each.node_id, each.size, _state(each, on_nodes, local))
        for name, each in sorted(record.items())
    ]


def _state(image: AddedImage, on_nodes: Mapping[str, str] | None, local: Mapping[str, str]) -> str:
    if on_nodes is None:
        return "unknown"
    if on_nodes.get(image.reference) != image.node_id:
        return "lost"
    ours = local.get(image.reference, image.id)
    return "current" if ours == image.id else "outdated"


def _add(
    stack: Stack, provider: AddsImages, image: UserImage, record: Mapping[str, AddedImage]
) -> list[AddedImage]:
    local = _local(stack)
    # Other state directories have stacks of the same name, and the cache may be the same.
    key = hashlib.sha256(str(stack.dir.path).encode()).hexdigest()[:12]
    source = FROM_FILE if image.archive else FROM_MACHINE
    with local.archive(image, key) as archive:
        stack.progress.note(f"importing {', '.join(archive.references)}")
        provider.add_images(stack.cluster, archive)
        # A file can be added without Docker.
        find = local.try_find if image.archive else local.find
        found = find(archive.references)
        added = [
            AddedImage(
                name, found[name].id if name in found else each.id, each.id, each.size, source
            )
            for each in archive.images
            for name in each.references
        ]
    _write(stack, {**record, **{each.reference: each for each in added}})
    return added


def _unchanged(
    stack: Stack, provider: AddsImages, name: str, record: Mapping[str, AddedImage]
) -> AddedImage | None:
    """Return the image if the nodes have this machine's version of it."""
    ours = _local(stack).find([name]).get(name)
    theirs = provider.image_ids(stack.cluster).get(name)
    if not ours or not theirs:
        return None
    known = record.get(name)
    if known and known.source == FROM_MACHINE and (known.id, known.node_id) == (ours.id, theirs):
        return known
    if ours.id != theirs:
        return None
    return AddedImage(name, ours.id, theirs, ours.size, FROM_MACHINE)


def _local(stack: Stack) -> LocalImages:
    return LocalImages(stack.runner, stack.progress, ArtifactCache(), stack.mirrors)


def _provider(stack: Stack) -> AddsImages:
    provider = stack.provider
    if isinstance(provider, AddsImages):
        return provider
    raise DevstackError(
        "cannot add images to this stack",
        cause=f"the nodes of provider {provider.name!r} are not on this machine",
        remedy="push the image to a registry from which the cluster pulls, and name it by that",
        code="IMAGES_UNSUPPORTED",
        exit_status=ExitStatus.USAGE,
    )


def _require_running(stack: Stack) -> None:
    status = stack.provider.status(stack.cluster)
    if status.state != "running":
        raise DevstackError(
            "cannot add images to this stack",
            cause=status.detail,
            remedy=f"devstack up --name {stack.spec.name}",
            code="STACK_DOWN",
            exit_status=ExitStatus.ENVIRONMENT,
        )


def _read(stack: Stack) -> dict[str, AddedImage]:
    """Return the record; empty if the cluster is another one by now."""
    try:
        content = json.loads((stack.dir.path / RECORD).read_bytes())
        if content["cluster"] != stack.state.cluster:
            return {}
        return {each["reference"]: AddedImage(**each) for each in content["images"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write(stack: Stack, record: Mapping[str, AddedImage]) -> None:
    if record == _read(stack):
        return
    images = [asdict(each) for _, each in sorted(record.items())]
    content = {"cluster": stack.state.cluster, "images": images}
    stack.dir.write_file(RECORD, json.dumps(content, indent=2))


@contextmanager
def _locked(stack: Stack) -> Iterator[None]:
    """Hold a lock, so that commands that add images at once take turns."""
    with (stack.dir.path / f".{RECORD}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
