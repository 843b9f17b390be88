"""`up` while images are pulled or built in the background."""

from __future__ import annotations

import pytest

from devstack.lifecycle.up import up
from tests.fakes.stack import FakeLoadingProvider, World


def test_kind_is_compiled_before_other_images_hold_the_lock_of_builds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Creating the cluster would wait for all images otherwise."""
    world.provider = FakeLoadingProvider()
    world.images.missing = {"task"}
    before: list[list[str]] = []
    monkeypatch.setattr(world.images, "start", lambda *_: before.append(list(world.provider.calls)))
    up(world.open())
    assert "ensure_programs" in before[0]
    assert "ensure" not in before[0]
