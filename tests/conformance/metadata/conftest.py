"""A Postgres for all, and the service on a database of its own for each file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.conformance.metadata.service import Metaflow, Postgres, Service
from tests.support.commandline import Devstack

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def postgres_image(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Build the stack's image of Postgres, if it is missing."""
    Devstack("metadata", tmp_path_factory.mktemp("images")).run(
        "images", "build", "postgres", timeout=1800
    )


@pytest.fixture(scope="module")
def postgres(postgres_image: None) -> Iterator[Postgres]:
    """A server that is starting."""
    server = Postgres()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def service(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service, ready."""
    running = Service(postgres.url(), tmp_path_factory.mktemp("service") / "log")
    running.start()
    running.wait_ready()
    yield running
    running.stop()


@pytest.fixture
def flow(service: Service) -> str:
    """The path of a flow that no other test uses."""
    path = f"/flows/Flow{next(_NUMBERS)}"
    service.post(path)
    return path


@pytest.fixture(scope="module")
def metaflow(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Metaflow:
    """Metaflow, pointed at the service."""
    folder: Path = tmp_path_factory.mktemp("metaflow")
    return Metaflow(service, folder)
