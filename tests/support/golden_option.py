"""The option ``--update-golden``, which has to be known before tests/golden is looked into."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-golden``."""
    parser.addoption(
        "--update-golden", action="store_true", help="write the files of tests/golden anew"
    )
