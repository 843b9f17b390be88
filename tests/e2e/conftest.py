"""The stack that end-to-end tests share; those of Airflow have one in tests/airflow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.commandline import Devstack


@pytest.fixture(scope="package")
def stack(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Devstack]:
    """A stack that is up; shared, so a test leaves it as it found it."""
    devstack = Devstack("e2e", tmp_path_factory.mktemp("e2e"))
    devstack.leave_out("airflow")
    with devstack.brought_up("--kubernetes", pytestconfig.getoption("--kubernetes")):
        yield devstack
