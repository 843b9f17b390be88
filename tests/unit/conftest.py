"""Fixtures that several unit tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fake_stack import World


@pytest.fixture(autouse=True)
def no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk: what a test writes need not outlast a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own for all that devstack keeps, and an empty one to be in."""
    folder = tmp_path / "home"
    monkeypatch.setenv("DEVSTACK_HOME", str(folder))
    monkeypatch.delenv("DEVSTACK_NAME", raising=False)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return folder


@pytest.fixture
def world(home: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A machine with stand-ins for cluster, services and programs."""
    return World(monkeypatch)
