"""The pipelines API on a Postgres in Docker, with workflows that no controller runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.client_files import EXTENSION_FOLDER, PROFILE
from tests.conformance.kubeflow.service import Service
from tests.conformance.kubeflow.workflow_api import WorkflowApi, workflow_api
from tests.conformance.metadata.service import Postgres
from tests.fakes.s3 import fake_s3
from tests.support.commandline import Devstack
from tests.support.kubeflow_python import create_kubeflow_python


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


@pytest.fixture(scope="session")
def kubeflow_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with metaflow-kubeflow and kfp."""
    return create_kubeflow_python(tmp_path_factory.mktemp("python") / "environment")


@pytest.fixture
def flow_variables(service: Service, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What a flow process gets from a stack, with an S3 in memory and this service."""
    home = tmp_path / "home"
    home.mkdir()
    (home / f"config_{PROFILE}.json").write_text("{}")
    with fake_s3() as address:
        yield {
            "PYTHONPATH": str(EXTENSION_FOLDER),
            "DEVSTACK_EXECUTABLE": sys.executable,
            "METAFLOW_PROFILE": PROFILE,
            "METAFLOW_HOME": str(home),
            "METAFLOW_DEFAULT_DATASTORE": "s3",
            "METAFLOW_DEFAULT_METADATA": "local",
            "METAFLOW_DATASTORE_SYSROOT_S3": "s3://bucket/metaflow",
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(home),
            "METAFLOW_KUBERNETES_NAMESPACE": "flows",
            "METAFLOW_KUBERNETES_SECRETS": "stack-keys",
            "METAFLOW_KUBERNETES_CONTAINER_IMAGE": "devstack/task:1",
            "METAFLOW_USER": "tester",
            "METAFLOW_KUBEFLOW_PIPELINES_URL": service.url,
            "DEVSTACK_KUBEFLOW_TOKEN": service.token,
            "AWS_ENDPOINT_URL_S3": address,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "word",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
