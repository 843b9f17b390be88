"""Fixtures that several unit tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fakes.stack import World


@pytest.fixture(autouse=True)
def no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk: what a test writes need not outlast a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def world(home: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A machine with stand-ins for cluster, services and programs."""
    return World(monkeypatch)
