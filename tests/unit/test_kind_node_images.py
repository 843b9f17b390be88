from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from devstack.docker.engine import DOCKER, PODMAN
from devstack.docker.engine import Engine as EngineProgram
from devstack.errors import DevstackError
from devstack.images.archive_reader import ImageArchive, read_archive
from devstack.process import Completed
from devstack.providers.kind.node_images import (
    ADDED,
    LOADED,
    image_ids,
    import_images,
    list_images,
    load_images,
)
from tests.fakes.runner import FakeClock
from tests.unit.test_images_archive_reader import docker_archive

HEADER = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n"


class Containerd:
    """Containerd of a node, as its command line shows it."""

    def __init__(self, name: str = "node", images: str = "") -> None:
        self.name = name
        self.images = HEADER + images
        self.snapshots = "KEY PARENT KIND\n"
        self.received: list[bytes] = []
        self.failures: list[str] = []
        self.removed: list[str] = []
        self.imports: dict[str, str] = {}

    def add(self, name: str, image: str) -> None:
        """Add an image as the CRI plug-in shows it."""
        # Each image has a manifest of its own.
        manifest = f"sha256:m-{image[-8:]}"
        row = f"application/vnd.oci.image.manifest.v1+json {manifest} 5.0 MiB linux/amd64 -\n"
        self.images += f"{name} {row}{image} {row}"


class Engine:
    """Docker's client, as far as it is used here."""

    def __init__(self, engine: EngineProgram = DOCKER) -> None:
        self.engine = engine
        self.labels: list[str] = []

    def save_images(self, archive: Path, references: list[str]) -> None:
        """Write an archive with one image."""
        docker_archive(archive, *references)

    def execute(self, node: Containerd, argv: list[str]) -> str:
        """Return a table of containerd, or remove images."""
        if "remove" in argv:
            node.removed += argv[5:]
            return ""
        return node.images if "images" in argv else node.snapshots

    def import_archive(
        self, node: Containerd, blocks: Iterable[bytes], label: str, timeout: float
    ) -> Completed:
        """Record the archive, unless the test makes it fail."""
        self.labels.append(label)
        node.received.append(b"".join(blocks))
        if node.failures:
            return Completed((), 1, stderr=node.failures.pop())
        if node.imports:
            node.images = HEADER
            for name, image in node.imports.items():
                node.add(name, image)
        return Completed((), 0)


@pytest.fixture
def archive(tmp_path: Path) -> ImageArchive:
    return read_archive(docker_archive(tmp_path / "a.tar", "app:1"), tmp_path)


def add(archive: ImageArchive, *nodes: Containerd) -> None:
    engine: Any = Engine()
    import_images(engine, nodes, archive, 60, FakeClock())
    assert set(engine.labels) == {ADDED}


def ids(*nodes: Containerd) -> dict[str, str]:
    engine: Any = Engine()
    return image_ids(engine, nodes)


def test_images_are_those_that_all_nodes_have_in_one_version() -> None:
    one, two = Containerd("one"), Containerd("two")
    assert ids() == ids(one) == {}
    one.add("docker.io/library/app:1", "sha256:aa")
    assert ids(one) == {"app:1": "sha256:aa"}
    assert ids(one, two) == {}
    two.add("docker.io/library/app:1", "sha256:bb")
    assert ids(one, two) == {}


def test_a_node_gets_only_the_layers_that_it_lacks(archive: ImageArchive) -> None:
    one, two = Containerd("one"), Containerd("two")
    for node in (one, two):
        node.add("docker.io/library/app:1", archive.images[0].id)
    lower = archive.images[0].layers[0].chain
    two.snapshots += f"{lower} Committed\nsha256:ff {lower} Active\n"
    add(archive, one, two)
    assert one.received == [b"".join(archive.stream())]
    assert two.received == [b"".join(archive.stream({lower}))]


def test_a_layer_that_is_removed_meanwhile_is_sent_as_well(archive: ImageArchive) -> None:
    node = Containerd()
    node.add("docker.io/library/app:1", archive.images[0].id)
    node.snapshots += f"{archive.images[0].layers[0].chain} Committed\n"
    node.failures = ["snapshot does not exist"]
    add(archive, node)
    assert len(node.received) == 2
    assert node.received[-1] == b"".join(archive.stream())


def test_the_version_before_is_removed_unless_it_has_another_name(archive: ImageArchive) -> None:
    new, app = archive.images[0].id, "docker.io/library/app:1"
    node, other = Containerd("one"), Containerd("two")
    for each in (node, other):
        each.add(app, "sha256:aa")
    node.imports = {app: new}
    other.imports = {app: new, "docker.io/library/kept:1": "sha256:aa"}
    add(archive, node, other)
    assert (node.removed, other.removed) == (["sha256:aa"], [])


@pytest.mark.parametrize(
    ("message", "remedy"),
    [("write: no space left on device", "free space"), ("unexpected EOF", "devstack doctor")],
)
def test_a_node_that_rejects_an_image_is_an_error(
    archive: ImageArchive, message: str, remedy: str
) -> None:
    node = Containerd("node-2")
    node.failures = [message]
    with pytest.raises(DevstackError, match="app:1 to node-2") as caught:
        add(archive, node)
    assert caught.value.code == "IMAGE_ADD_FAILED"
    assert remedy in caught.value.remedy


def test_an_image_that_the_kubelet_never_sees_is_an_error(archive: ImageArchive) -> None:
    with pytest.raises(DevstackError) as caught:
        add(archive, Containerd())
    assert caught.value.code == "WAIT_TIMEOUT"
    assert "app:1" in caught.value.message


def test_a_list_of_images_that_docker_lost_is_asked_for_again() -> None:
    answers = ["", "docker.io/devstack/gang:v2\n"]

    class Losing(Engine):
        def execute(self, node: Containerd, argv: list[str]) -> str:
            return answers.pop(0)

    assert list_images(Losing(), None) == "docker.io/devstack/gang:v2\n"  # type: ignore[arg-type]
    assert answers == []


def test_the_stacks_images_go_to_all_nodes_at_once_with_the_bytes_that_are_sent(
    archive: ImageArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVSTACK_CACHE", str(tmp_path / "cache"))
    nodes = [Containerd("one"), Containerd("two")]
    for node in nodes:
        node.add("docker.io/library/app:1", archive.images[0].id)
    engine: Any = Engine()
    notes: list[str] = []
    load_images(engine, nodes, ["app:1"], "ci", 60, FakeClock(), notes.append)
    assert engine.labels == [LOADED, LOADED]
    assert notes[0] == "exporting 1 images from Docker"
    assert notes[-1].endswith(" of 1 images to 2 nodes")
    assert not list((tmp_path / "cache").rglob("*.tar"))


def test_podmans_images_go_to_all_nodes_from_the_cache(
    archive: ImageArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/tmp is in memory on Fedora and RHEL, and the archive has all images."""
    monkeypatch.setenv("DEVSTACK_CACHE", str(tmp_path / "cache"))
    saved: list[Path] = []

    class Podman(Engine):
        def save_images(self, archive: Path, references: list[str]) -> None:
            saved.append(archive)
            super().save_images(archive, references)

    nodes = [Containerd("one"), Containerd("two")]
    for node in nodes:
        node.imports = {"docker.io/library/app:1": archive.images[0].id}
    engine: Any = Podman(PODMAN)
    notes: list[str] = []
    load_images(engine, nodes, ["app:1"], "ci", 60, FakeClock(), notes.append)
    assert saved[0].is_relative_to(tmp_path / "cache")
    assert notes[0] == "exporting 1 images from Podman"
    assert notes[-1].endswith(" of 1 images to 2 nodes")
    assert nodes[0].received == nodes[1].received == [b"".join(archive.stream())]
    assert not list((tmp_path / "cache").rglob("*.tar"))


@pytest.mark.parametrize("program", [DOCKER, PODMAN])
def test_images_that_pods_do_not_get_yet_are_waited_for(
    program: EngineProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVSTACK_CACHE", str(tmp_path / "cache"))
    engine: Any = Engine(program)
    with pytest.raises(DevstackError) as caught:
        load_images(engine, [Containerd()], ["app:1"], "ci", 60, FakeClock(), lambda _: None)
    assert caught.value.code == "WAIT_TIMEOUT"


@pytest.mark.parametrize("program", [DOCKER, PODMAN])
def test_a_node_that_rejects_the_stacks_images_is_an_error_of_up(
    program: EngineProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVSTACK_CACHE", str(tmp_path / "cache"))
    node = Containerd("node-2")
    node.failures = ["no space left on device"]
    engine: Any = Engine(program)
    with pytest.raises(DevstackError) as caught:
        load_images(engine, [node], ["app:1"], "ci", 60, FakeClock(), lambda _: None)
    assert caught.value.message == "cannot load the stack's images into node-2"
    assert "devstack up" in caught.value.remedy
    assert f"{program.title}'s disk" in caught.value.remedy
