"""The stack with Argo Workflows and Argo Events, shared by these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.argo.flows_on_argo import delete_all
from tests.support.commandline import Devstack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devstack]:
    """A stack that is up; the first one on a machine compiles Argo's programs."""
    devstack = Devstack("argo", tmp_path_factory.mktemp("argo"))
    devstack.leave_out("airflow", "metrics-server")
    with devstack.brought_up("--with", "argo", "--with", "argo-events"):
        yield devstack


@pytest.fixture
def clean(stack: Devstack) -> Iterator[None]:
    """Delete what a test has deployed."""
    yield
    delete_all(stack)
