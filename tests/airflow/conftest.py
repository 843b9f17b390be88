"""The stack with all default services, shared by these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.commandline import Devstack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devstack]:
    """A stack that is up; tests restore its state."""
    devstack = Devstack("airflow", tmp_path_factory.mktemp("airflow"))
    with devstack.brought_up():
        yield devstack
