"""`devstack images pull` and `save`: the mirrors of a stack count."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.images import ImageStore
from devstack.images.mirrors import Mirrors
from devstack.state import StackDir, StackState


@pytest.mark.parametrize(
    ("command", "method"), [(("pull", "minio"), "ensure"), (("save", "file"), "save")]
)
def test_images_are_pulled_from_the_stacks_mirrors(
    command: tuple[str, ...], method: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a company, the registry itself cannot be reached."""
    mirrors = {"docker.io": "registry.corp:5000/hub"}
    StackDir("dev").write(StackState(name="dev", namespace="metaflow", mirror=mirrors))
    seen: list[Mirrors] = []

    def stop(store: ImageStore, *_: object) -> None:
        seen.append(store._mirrors)
        raise KeyboardInterrupt

    monkeypatch.setattr("devstack.providers.choose.client_tools", lambda: [])
    monkeypatch.setattr(ImageStore, method, stop)
    for more in ((), ("--mirror", "quay.io=registry.corp:5000/quay")):
        run(("images", *command, "--name", "dev", *more), Output())
    once = {**mirrors, "quay.io": "registry.corp:5000/quay"}
    assert [each.by_registry for each in seen] == [mirrors, once]
    state = StackDir("dev").read()
    assert state
    assert state.mirror == mirrors
