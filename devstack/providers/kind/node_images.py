"""Images on the nodes: which are there, and importing others.

An archive goes straight into containerd, without the layers that the node has unpacked
already; `kind load` would copy the whole image to a file first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from devstack.docker.client import DockerClient
from devstack.errors import DevstackError, ExitStatus
from devstack.image_names import familiar
from devstack.images.archive_reader import ImageArchive, read_archive
from devstack.images.artifact_cache import ArtifactCache
from devstack.parallel import in_parallel
from devstack.process import Completed
from devstack.waits import Clock, Observation, Ready, Waiting, wait_until

ADDED = "devstack.added=true"
"""containerd's label on images that users added."""
LOADED = "devstack.loaded=true"
"""containerd's label on the stack's own images."""
MEGABYTE = 1_000_000

_BLOCK = 1 << 20

VISIBLE_TIMEOUT = 20.0
"""Seconds that the CRI plug-in, which serves the kubelet, has to notice an import."""

_ATTEMPTS = 3

_import_lock = threading.Lock()
"""Held during an import, which discards layers that another one may share."""

_ID = "sha256:"
"""containerd's CRI plug-in names each image by its id as well."""


def image_ids(engine: DockerClient, nodes: Iterable[Any]) -> dict[str, str]:
    """Return the id of each named image that all nodes have, in the same version."""
    found = in_parallel(partial(_image_ids, engine), nodes)
    if not found:
        return {}
    first, *others = found
    return {
        name: found_id
        for name, found_id in first.items()
        if all(each.get(name) == found_id for each in others)
    }


def load_images(
    engine: DockerClient,
    nodes: Sequence[Any],
    references: Sequence[str],
    cluster: str,
    timeout: float,
    clock: Clock,
    note: Callable[[str], None],
) -> None:
    """Copy images from the engine into all nodes, in parallel, and layers that they share once.

    Args:
        engine: has the images.
        nodes: the containers of the nodes.
        references: the images.
        cluster: names the folder of the copy, together with the first image.
        timeout: seconds for one node.
        clock: measures how long the images take to be visible.
        note: shows how much was sent.

    Raises:
        DevstackError: ``IMAGE_ADD_FAILED``, ``DISK_FULL`` or ``WAIT_TIMEOUT``.
    """
    first = references[0].replace("/", "-").replace(":", "-")
    with ArtifactCache().scratch(f"load-{cluster}-{first}") as scratch:
        note(f"exporting {len(references)} images from {engine.engine.title}")
        saved = scratch / "images.tar"
        engine.save_images(saved, references)
        archive = read_archive(saved, scratch)
        import_images(engine, nodes, archive, timeout, clock, LOADED, note)


def import_images(
    engine: DockerClient,
    nodes: Sequence[Any],
    archive: ImageArchive,
    timeout: float,
    clock: Clock,
    label: str = ADDED,
    note: Callable[[str], None] = lambda _: None,
) -> None:
    """Import an archive's images into all nodes, in parallel; return when pods get them.

    Args:
        engine: runs programs in the nodes.
        nodes: the containers of the nodes.
        archive: the images.
        timeout: seconds for one node.
        clock: measures how long the images take to be visible.
        label: containerd's label for the images, as ``name=value``.
        note: shows how much was sent.

    Raises:
        DevstackError: ``IMAGE_ADD_FAILED`` or ``WAIT_TIMEOUT``.
    """
    with _import_lock:
        _import_all(engine, nodes, archive, timeout, clock, label, note)


def _import_all(
    engine: DockerClient,
    nodes: Sequence[Any],
    archive: ImageArchive,
    timeout: float,
    clock: Clock,
    label: str,
    note: Callable[[str], None],
) -> None:
    ids = in_parallel(partial(_image_ids, engine), nodes)
    before = {node.name: each for node, each in zip(nodes, ids, strict=True)}
    sent = _Sent(len(archive.images), len(nodes), note)
    in_parallel(lambda node: _import(engine, node, archive, timeout, label, sent), nodes)
    wanted = {name: image.id for image in archive.images for name in image.references}

    def observe() -> Observation:
        found = image_ids(engine, nodes)
        late = [name for name, image in wanted.items() if found.get(name) != image]
        return Waiting(f"the nodes do not show {late[0]} yet") if late else Ready()

    what = f"{', '.join(wanted)} to be on the nodes"
    wait_until(observe, what=what, timeout=VISIBLE_TIMEOUT, clock=clock)
    in_parallel(
        lambda node: _remove_replaced(
            engine, node, [before[node.name].get(name, "") for name in wanted]
        ),
        nodes,
    )


def _remove_replaced(engine: DockerClient, node: Any, ids: Iterable[str]) -> None:
    """Remove images that lost their name; containers that run keep their files.

    On kind's nodes the kubelet removes no images, so rebuilds would fill the disk.
    """
    named = _image_ids(engine, node).values()
    unnamed = [each for each in ids if each and each not in named]
    if unnamed:
        engine.execute(node, ["ctr", "-n", "k8s.io", "images", "remove", *unnamed])


class _Sent:
    """Counts what is sent to all nodes together.

    Args:
        images: how many images are sent.
        nodes: how many nodes there are.
        note: shows it.
    """

    def __init__(self, images: int, nodes: int, note: Callable[[str], None]) -> None:
        self._images = images
        self._nodes = nodes
        self._note = note
        self._lock = threading.Lock()
        self._sent = self._total = 0

    def count(self, blocks: Iterable[bytes], size: int) -> Iterator[bytes]:
        """Yield the blocks of one node, of which there are ``size`` bytes."""
        with self._lock:
            self._total += size
        for block in blocks:
            yield block
            with self._lock:
                self._sent += len(block)
                sent, total = self._sent // MEGABYTE, self._total // MEGABYTE
            where = "the node" if self._nodes == 1 else f"{self._nodes} nodes"
            self._note(f"{min(sent, total)} of {total} MB of {self._images} images to {where}")


def _import(
    engine: DockerClient,
    node: Any,
    archive: ImageArchive,
    timeout: float,
    label: str,
    sent: _Sent,
) -> None:
    chains = _snapshots(engine, node)
    blocks = sent.count(archive.stream(chains), archive.missing_bytes(chains))
    done = engine.import_archive(node, blocks, label, timeout)
    if not done.ok and chains:
        # A layer may have been removed since the list was made.
        done = engine.import_archive(node, archive.stream(), label, timeout)
    if not done.ok:
        raise _failed(engine, node, [] if label == LOADED else archive.references, done)


def _image_ids(engine: DockerClient, node: Any) -> dict[str, str]:
    rows = _table(engine, node, "images")
    digests = {row[0]: row[2] for row in rows if len(row) > 2}
    ids = {digest: name for name, digest in digests.items() if name.startswith(_ID)}
    return {
        familiar(name): ids[digest]
        for name, digest in digests.items()
        if digest in ids and not name.startswith(_ID)
    }


def _snapshots(engine: DockerClient, node: Any) -> set[str]:
    """Return the chains of layers that the node has unpacked."""
    return {row[0] for row in _table(engine, node, "snapshots") if row[-1] == "Committed"}


def list_images(engine: DockerClient, node: Any) -> str:
    """Return the names of a node's images, a line each."""
    return _list(engine, node, "images", "-q")


def _table(engine: DockerClient, node: Any, what: str) -> list[list[str]]:
    return [line.split() for line in _list(engine, node, what).splitlines()[1:] if line.strip()]


def _list(engine: DockerClient, node: Any, what: str, *options: str) -> str:
    """Return what containerd lists.

    Docker loses the output of a program now and then if several run at once. A table has a header
    and a node always has images, so an empty list is asked for again.
    """
    for _ in range(_ATTEMPTS):
        if listing := engine.execute(node, ["ctr", "-n", "k8s.io", what, "list", *options]):
            return listing
    return ""


def _failed(
    engine: DockerClient, node: Any, added: Sequence[str], done: Completed
) -> DevstackError:
    """Return the error of a node that did not import images.

    Args:
        engine: runs the node.
        node: its container.
        added: the images that the user adds; empty for the stack's own.
        done: the import.
    """
    full = "no space left" in done.stderr
    title = engine.engine.title
    again = "add the image again" if added else "run `devstack up` again"
    return DevstackError(
        f"cannot add {', '.join(added)} to {node.name}"
        if added
        else f"cannot load the stack's images into {node.name}",
        cause="the disk is full" if full else "containerd rejects the archive",
        remedy=f"free space on {title}'s disk, then {again}"
        if full
        else f"`devstack doctor` checks the nodes; then {again}",
        code="IMAGE_ADD_FAILED",
        exit_status=ExitStatus.ENVIRONMENT,
        output=done.stderr,
    )
