from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from devstack.errors import DevstackError
from devstack.providers.kind.container_files import DELETE, delete_container_files

SNAPSHOTS = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots"


class Node:
    def __init__(self, name: str, status: str) -> None:
        self.name = name
        self.status = status


class FakeEngine:
    def __init__(self) -> None:
        self.executed: list[str] = []

    def execute(self, node: Node, argv: list[str]) -> str:
        assert argv == ["sh", "-c", DELETE]
        self.executed.append(node.name)
        if node.name == "broken":
            raise DevstackError("Docker refused", code="DOCKER_REFUSED")
        return ""


def test_running_nodes_are_emptied_and_errors_are_ignored() -> None:
    engine: Any = FakeEngine()
    nodes = [Node("one", "running"), Node("broken", "running"), Node("stopped", "exited")]
    delete_container_files(engine, [*nodes, Node("paused", "paused")])
    assert sorted(engine.executed) == ["broken", "one"]


@pytest.mark.parametrize(("snapshots", "left"), [(60, 60), (150, 0)])
def test_only_nodes_with_many_snapshots_are_emptied(
    tmp_path: Path, snapshots: int, left: int
) -> None:
    image = tmp_path / "image"
    image.mkdir()
    (image / "file").touch()
    folder = tmp_path / "snapshots"
    for number in range(snapshots - 1):
        (folder / str(number) / "fs").mkdir(parents=True)
    (folder / "image").symlink_to(image)
    script = f"systemctl() {{ :; }}\n{DELETE.replace(SNAPSHOTS, str(folder))}"
    assert script.count(str(folder)) == 1
    subprocess.run(["sh", "-c", script], check=True)
    assert len(list(folder.iterdir())) == left
    assert (image / "file").exists(), "the files of images are outside the volume"
