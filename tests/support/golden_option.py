"""The option ``--update-golden``, which must be known before tests/golden is collected."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-golden``."""
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite the files of tests/golden"
    )
