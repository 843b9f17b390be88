"""A DEVSTACK_HOME for each test, and a HOME in which none leaves anything."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """DEVSTACK_HOME, not created yet; the test runs in an empty folder beside it."""
    folder = tmp_path / "home"
    monkeypatch.setenv("DEVSTACK_HOME", str(folder))
    monkeypatch.delenv("DEVSTACK_NAME", raising=False)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return folder


@pytest.fixture(scope="session")
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all tests of this process."""
    return tmp_path_factory.mktemp("empty")


@pytest.fixture
def empty_home(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set HOME to an empty folder; fail a test that writes there, as it lacks ``home``."""
    monkeypatch.setenv("HOME", str(empty_folder))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "DEVSTACK_HOME"):
        monkeypatch.delenv(name, raising=False)
    yield
    left = os.listdir(empty_folder)
    for name in left:
        shutil.rmtree(empty_folder / name, ignore_errors=True)
    assert not left, f"the test has written into HOME: {left}"
