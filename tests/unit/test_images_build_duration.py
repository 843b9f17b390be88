"""How long a build takes, as it is announced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devstack.images.artifact_cache import ArtifactCache
from devstack.images.build import programs_of
from devstack.images.build_duration import expected_minutes
from devstack.images.programs import PROGRAMS


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def test_compiling_takes_most_of_the_time_and_is_done_once(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path)
    cold = expected_minutes(["node"], cache)
    assert 6 <= cold <= 12
    for name in programs_of(["node"]):
        cache.make(PROGRAMS[name].name, PROGRAMS[name].key, lambda path: path.touch())
    assert expected_minutes(["node"], cache) == 2


def test_a_node_alone_needs_no_programs_of_other_images(tmp_path: Path) -> None:
    alone = programs_of(["node"], preload=False)
    assert "kubelet" in alone
    assert "minio" not in alone
    cache = ArtifactCache(tmp_path)
    assert expected_minutes(["node"], cache, preload=False) < expected_minutes(["node"], cache)


def test_a_small_image_takes_a_minute(tmp_path: Path) -> None:
    assert expected_minutes(["xcom"], ArtifactCache(tmp_path)) == 1
