from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from devstack.errors import DevstackError
from devstack.kube.client import Object
from devstack.ports import any_free
from devstack.services.base import ServiceContext
from devstack.services.init_script import INIT_SCRIPT
from devstack.services.minio import MinioService, _policy
from devstack.state import StackState
from devstack.waits import Observation, Ready, Waiting
from tests.fakes.api import FakeApi, available, decoded


def context(**state: Any) -> ServiceContext:
    known = {"namespace": "flows", "ports": {"minio": 40311, "minio-console": 40312}} | state
    return ServiceContext(StackState("mine", **known))


def find(ctx: ServiceContext, kind: str, name: str) -> Object:
    (found,) = (
        item
        for item in MinioService().manifests(ctx)
        if (item["kind"], item["metadata"]["name"]) == (kind, name)
    )
    return found


def test_pods_get_the_address_inside_the_cluster() -> None:
    ctx = context()
    secret = find(ctx, "Secret", "metaflow-s3")
    assert secret["metadata"]["namespace"] == "flows"
    values = decoded(secret)
    assert values["AWS_ENDPOINT_URL_S3"] == "http://minio.devstack.svc.cluster.local:9000"
    assert values["METAFLOW_INIT_SCRIPT"] == INIT_SCRIPT
    assert "METAFLOW_SKIP_INSTALL_DEPENDENCIES" not in values


def test_flows_own_the_buckets_that_they_create_but_not_the_stacks() -> None:
    allowed = [each for each in _policy()["Statement"] if each["Effect"] == "Allow"]
    denied = [each for each in _policy()["Statement"] if each["Effect"] == "Deny"]
    assert any(each["Resource"] == ["arn:aws:s3:::*"] for each in allowed)
    assert [each["Resource"] for each in denied] == [["arn:aws:s3:::metaflow"]]
    assert {"s3:DeleteBucket", "s3:PutBucketPolicy"} <= set(denied[0]["Action"])
    # Managing MinIO is "admin:*".
    assert all(action.startswith("s3:") for each in allowed for action in each["Action"])


def test_the_host_gets_an_address_of_its_own() -> None:
    outputs = MinioService().outputs(context())
    assert outputs.environment["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:40311"
    assert outputs.urls["minio-console"] == "http://127.0.0.1:40312"


def test_host_and_pods_use_the_same_keys_and_not_the_administrators() -> None:
    ctx = context()
    pods = decoded(find(ctx, "Secret", "metaflow-s3"))
    host = MinioService().outputs(ctx).environment
    root = decoded(find(ctx, "Secret", "minio-root"))
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert pods[key] == host[key]
        assert pods[key] not in root.values()


def test_credentials_are_random_and_stay_the_same() -> None:
    ctx, other = context(), context()
    assert find(ctx, "Secret", "minio-root") == find(ctx, "Secret", "minio-root")
    assert find(ctx, "Secret", "minio-root") != find(other, "Secret", "minio-root")


def test_no_setting_has_an_address_that_only_host_or_pods_can_reach() -> None:
    outputs = MinioService().outputs(context()).metaflow
    assert "METAFLOW_S3_ENDPOINT_URL" not in outputs
    assert not any("http" in value for value in outputs.values())


def test_metaflow_gets_its_datastore() -> None:
    outputs = MinioService().outputs(context()).metaflow
    assert outputs["METAFLOW_DEFAULT_DATASTORE"] == "s3"
    assert outputs["METAFLOW_DATASTORE_SYSROOT_S3"] == "s3://metaflow/metaflow"
    assert outputs["METAFLOW_KUBERNETES_SECRETS"] == "metaflow-s3"


def test_new_credentials_restart_the_pod() -> None:
    def annotations(ctx: ServiceContext) -> dict[str, str]:
        template = find(ctx, "Deployment", "minio")["spec"]["template"]
        found: dict[str, str] = template["metadata"]["annotations"]
        return found

    ctx = context()
    assert annotations(ctx) == annotations(ctx)
    assert annotations(ctx) != annotations(context())
    assert ctx.state.credential("minio-root") not in str(annotations(ctx))


def test_the_volume_is_never_written_by_two_servers() -> None:
    assert find(context(), "Deployment", "minio")["spec"]["strategy"] == {"type": "Recreate"}


class Health(BaseHTTPRequestHandler):
    """MinIO's answer to whether it is ready."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/minio/health/ready" else 404)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def health() -> Iterator[tuple[type[Health], int]]:
    answer = type("Answer", (Health,), {})
    with HTTPServer(("127.0.0.1", 0), answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield answer, server.server_port
        server.shutdown()


def observe(port: int, *, host_mapped: bool = True) -> Observation:
    api = FakeApi()
    api.add(available("minio"))
    mapped_ports = ["minio"] if host_mapped else []
    state = StackState("mine", ports={"minio": port}, mapped_ports=mapped_ports)
    return MinioService().observe(ServiceContext(state, api.client()))


def test_it_is_ready_when_its_deployment_and_its_health_endpoint_are(
    health: tuple[type[Health], int],
) -> None:
    answer, port = health
    assert observe(port) == Ready()
    answer.status = 503
    assert observe(port) == Waiting(f"MinIO does not respond on http://127.0.0.1:{port} yet")


def test_an_available_deployment_that_does_not_answer_is_not_ready() -> None:
    assert isinstance(observe(any_free(set())), Waiting)


def test_without_a_mapped_port_the_deployments_readiness_counts() -> None:
    assert observe(any_free(set()), host_mapped=False) == Ready()


def test_an_unreachable_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devstack.services.minio.CONNECT_ATTEMPTS", 0)
    port = any_free(set())
    with pytest.raises(DevstackError, match=f"127.0.0.1:{port}") as caught:
        MinioService().prepare(context(ports={"minio": port}))
    assert caught.value.code == "MINIO_UNREACHABLE"
