"""Fixtures that several unit tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devstack.docker import recognition
from tests.fakes.stack import World


@pytest.fixture(autouse=True)
def no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable fsync: files of tests need not survive a power failure."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture(autouse=True)
def no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tests run in no container: in one, folders are tried by mounting them."""
    monkeypatch.setattr(recognition, "_OF_CONTAINERS", ())


@pytest.fixture(autouse=True)
def own_home(empty_home: None) -> None:
    """Keep the user's stacks and settings out of the tests, and the tests out of them."""


@pytest.fixture
def world(home: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A machine with fakes of cluster, services and programs."""
    return World(monkeypatch)
