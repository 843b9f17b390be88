"""The option ``--kubernetes``: the version on whose stacks the tests run."""

from __future__ import annotations

import pytest

from devstack.images.kubernetes_versions import DEFAULT, SUPPORTED


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--kubernetes``."""
    parser.addoption(
        "--kubernetes",
        choices=list(SUPPORTED),
        default=DEFAULT,
        help="version of Kubernetes of the stacks of tests/conformance and tests/e2e",
    )
