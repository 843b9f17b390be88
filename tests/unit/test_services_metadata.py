from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from devstack.images.recipes import python_service
from devstack.images.recipes.metadata import MetadataImage
from devstack.kube.client import Object
from devstack.ports import any_free
from devstack.services.base import ServiceContext
from devstack.services.metadata import MetadataService
from devstack.services.minio import MinioService
from devstack.services.postgres import PostgresService
from devstack.state import StackState
from devstack.waits import Observation, Ready, Waiting
from tests.fakes.api import FakeApi, available, decoded


def context(**state: Any) -> ServiceContext:
    return ServiceContext(StackState("mine", **({"ports": {"metadata": 40313}} | state)))


def find(ctx: ServiceContext, kind: str, name: str = "metadata") -> Object:
    (found,) = (
        item
        for item in MetadataService().manifests(ctx)
        if (item["kind"], item["metadata"]["name"]) == (kind, name)
    )
    return found


def test_host_and_pods_have_an_address_each_and_the_same_key() -> None:
    ctx = context()
    settings = MetadataService().outputs(ctx).metaflow
    assert settings["METAFLOW_SERVICE_URL"] == "http://127.0.0.1:40313"
    assert (
        settings["METAFLOW_SERVICE_INTERNAL_URL"]
        == "http://metadata.metadata.svc.cluster.local:8080"
    )
    assert settings["METAFLOW_SERVICE_AUTH_KEY"] == decoded(find(ctx, "Secret"))["METADATA_KEY"]


def test_host_and_pods_retry_equally_often() -> None:
    ctx = context()
    (secret,) = (
        item for item in MinioService().manifests(ctx) if item["metadata"]["name"] == "metaflow-s3"
    )
    name = "METAFLOW_SERVICE_RETRY_COUNT"
    settings = MetadataService().outputs(ctx).metaflow
    assert decoded(secret)[name] == settings[name] == "7"


def test_metaflow_uses_it_instead_of_files() -> None:
    ctx = context()
    settings = {**MinioService().outputs(ctx).metaflow, **MetadataService().outputs(ctx).metaflow}
    assert settings["METAFLOW_DEFAULT_METADATA"] == "service"


def test_it_has_a_database_and_a_user_of_its_own() -> None:
    ctx = replace(context(), databases=(MetadataService.database,))
    (secret,) = (
        item
        for item in PostgresService().manifests(ctx)
        if item["metadata"]["name"] == "postgres-databases"
    )
    password = decoded(secret)["metadata"]
    address = f"postgresql://metadata:{password}@postgres.postgres.svc.cluster.local.:5432/metadata"
    assert decoded(find(ctx, "Secret"))["METADATA_DATABASE"] == address


def test_new_credentials_restart_the_pod() -> None:
    def annotations(ctx: ServiceContext) -> dict[str, str]:
        template = find(ctx, "Deployment")["spec"]["template"]
        result: dict[str, str] = template["metadata"]["annotations"]
        return result

    ctx = context()
    assert annotations(ctx) == annotations(ctx)
    assert annotations(ctx) != annotations(context())


def test_no_credential_is_in_a_deployment() -> None:
    ctx = context()
    text = str(find(ctx, "Deployment"))
    assert ctx.state.credential("metadata_key") not in text
    assert ctx.state.credential("metadata_db_password") not in text


@pytest.fixture
def port() -> Iterator[int]:
    """A server that is ready, as the service is if its database responds."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/ready" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def observe(port: int, *, mapped: bool = True) -> Observation:
    api = FakeApi()
    api.add(available("metadata", "metadata"))
    mapped_ports = ["metadata"] if mapped else []
    state = StackState("mine", ports={"metadata": port}, mapped_ports=mapped_ports)
    return MetadataService().observe(ServiceContext(state, api.client()))


def test_it_is_ready_if_it_answers_the_host(port: int) -> None:
    assert isinstance(observe(port), Ready)


def test_a_pod_that_the_host_cannot_reach_is_not_ready() -> None:
    result = observe(any_free(set()))
    assert isinstance(result, Waiting)
    assert "does not respond" in result.reason


def test_without_a_mapped_port_the_pods_readiness_counts() -> None:
    assert isinstance(observe(any_free(set()), mapped=False), Ready)


def test_a_change_of_code_rebuilds_the_image(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    before = MetadataImage().key
    for owner, name in ((MetadataImage, "rootfs"), (python_service, "SHARED")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, tmp_path)
            assert MetadataImage().key != before
    assert (MetadataImage().rootfs / "opt/devstack/metadata_service/__main__.py").exists()
    assert (python_service.SHARED / "opt/devstack/database_service/database.py").exists()


def test_the_lock_names_no_index() -> None:
    text = MetadataImage().lock.read_text()
    assert "--hash=sha256:" in text
    assert "index-url" not in text
