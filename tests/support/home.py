"""A DEVSTACK_HOME for each test."""

from __future__ import annotations

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
