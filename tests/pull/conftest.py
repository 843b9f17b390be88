"""The registry's contents, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.containers.upstream.registry_data import ensure_registry_data


@pytest.fixture(scope="session")
def published() -> Path:
    """The contents of a registry with all published images."""
    return ensure_registry_data()
