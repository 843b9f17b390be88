"""The pipelines API on a Postgres in Docker, with workflows that no controller runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.kubeflow.service import Service
from tests.conformance.kubeflow.workflow_api import WorkflowApi, workflow_api
from tests.conformance.metadata.service import Postgres
from tests.support.commandline import Devstack


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty database."""
    Devstack("kubeflow", tmp_path_factory.mktemp("images")).run(
        "images", "build", "postgres", timeout=1800
    )
    server = Postgres()
    server.start()
    yield server.url()
    server.remove()


@pytest.fixture(scope="module")
def api_and_service(
    database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[WorkflowApi, Service]]:
    """The Kubernetes API and the service."""
    with workflow_api() as (api, address):
        running = Service(database, address, tmp_path_factory.mktemp("service") / "log")
        running.start()
        yield api, running
        running.stop()


@pytest.fixture
def api(api_and_service: tuple[WorkflowApi, Service]) -> Iterator[WorkflowApi]:
    """The Kubernetes API."""
    yield api_and_service[0]
    api_and_service[0].failing = False


@pytest.fixture
def service(api_and_service: tuple[WorkflowApi, Service]) -> Service:
    """The service."""
    return api_and_service[1]
