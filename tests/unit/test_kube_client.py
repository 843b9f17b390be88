from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from devstack.errors import ExitStatus
from devstack.kube import api_errors
from devstack.kube.client import KubeClient
from tests.fakes.api import FakeApi

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns"}}


class Server(ThreadingHTTPServer):
    """An HTTP server that sends prepared answers and records requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, Any]] = {}
        self.requests: list[dict[str, Any]] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def answer(self) -> None:
        address = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        self.server.requests.append(
            {
                "method": self.command,
                "path": address.path,
                "query": {key: value[0] for key, value in parse_qs(address.query).items()},
                "body": json.loads(self.rfile.read(length) or "null"),
                "type": self.headers.get("Content-Type"),
                "authorization": self.headers.get("Authorization"),
            }
        )
        status, body = self.server.answers.get(address.path, (200, {}))
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def kubeconfig(url: str, **user: Any) -> str:
    return yaml.safe_dump(
        {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": user}],
        }
    )


@pytest.fixture
def client(server: Server) -> KubeClient:
    return KubeClient.from_kubeconfig(kubeconfig(server.url, token="t0ken"))


def test_objects_are_read_by_kind_with_the_token(client: KubeClient, server: Server) -> None:
    server.answers["/apis/apps/v1/namespaces/ns/deployments/d"] = (200, {"kind": "Deployment"})
    assert client.get("apps/v1", "Deployment", "d", "ns") == {"kind": "Deployment"}
    assert server.requests[0]["authorization"] == "Bearer t0ken"


def test_one_connection_serves_many_requests(client: KubeClient, server: Server) -> None:
    for _ in range(5):
        client.get("v1", "Namespace", "x")
    assert server.connections == 1


def test_a_list_is_selected_by_labels_and_fields(client: KubeClient, server: Server) -> None:
    server.answers["/api/v1/namespaces/ns/pods"] = (200, {"items": [{"metadata": {"name": "p"}}]})
    (found,) = client.list_objects("v1", "Pod", "ns", labels="a=b", fields="status.phase=Running")
    assert server.requests[0]["query"] == {
        "labelSelector": "a=b",
        "fieldSelector": "status.phase=Running",
    }
    assert (found["apiVersion"], found["kind"]) == ("v1", "Pod")


def test_applying_is_server_side_and_forced(client: KubeClient, server: Server) -> None:
    client.apply(POD)
    request = server.requests[0]
    assert (request["method"], request["path"]) == ("PATCH", "/api/v1/namespaces/ns/pods/p")
    assert request["type"] == "application/apply-patch+yaml"
    assert request["query"] == {"fieldManager": "devstack", "force": "true"}
    assert request["body"] == POD


def test_a_dry_run_requests_one_and_does_not_count_as_a_write(
    client: KubeClient, server: Server
) -> None:
    client.create(POD, dry_run=True)
    assert server.requests[0]["query"]["dryRun"] == "All"
    assert client.writes == 0
    client.create(POD)
    assert "dryRun" not in server.requests[1]["query"]
    assert client.writes == 1


def test_deleting_a_missing_object_is_no_error(client: KubeClient, server: Server) -> None:
    assert client.delete("v1", "Pod", "p", "ns", propagation="Foreground")
    assert server.requests[0]["query"] == {"propagationPolicy": "Foreground"}
    server.answers["/api/v1/namespaces/ns/pods/p"] = (404, {"reason": "NotFound"})
    assert not client.delete("v1", "Pod", "p", "ns")


def test_finding_a_missing_object_returns_none(client: KubeClient, server: Server) -> None:
    server.answers["/api/v1/namespaces/ns/pods/p"] = (404, {"reason": "NotFound"})
    assert client.find("v1", "Pod", "p", "ns") is None
    with pytest.raises(api_errors.NotFoundError):
        client.get("v1", "Pod", "p", "ns")


def test_logs_are_text_and_limited(client: KubeClient, server: Server) -> None:
    server.answers["/api/v1/namespaces/ns/pods/p/log"] = (200, "one\ntwo\n")
    assert client.logs("p", "ns", container="main", tail=2, previous=True) == "one\ntwo\n"
    assert server.requests[0]["query"] == {
        "tailLines": "2",
        "container": "main",
        "previous": "true",
    }


def test_an_unknown_kind_is_discovered_once(client: KubeClient, server: Server) -> None:
    served = [
        {"name": "cronjobs", "kind": "CronJob", "namespaced": True},
        {"name": "cronjobs/status", "kind": "CronJob", "namespaced": True},
    ]
    server.answers["/apis/batch/v1"] = (200, {"resources": served})
    for _ in range(2):
        client.get("batch/v1", "CronJob", "c", "ns")
    paths = [request["path"] for request in server.requests]
    assert paths == ["/apis/batch/v1", *["/apis/batch/v1/namespaces/ns/cronjobs/c"] * 2]


def test_a_kind_that_is_not_served_is_not_found(client: KubeClient, server: Server) -> None:
    server.answers["/apis/batch/v1"] = (200, {"resources": []})
    with pytest.raises(api_errors.NotFoundError, match="no kind Nothing"):
        client.get("batch/v1", "Nothing", "x")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "API_UNAUTHORIZED"),
        (403, "API_FORBIDDEN"),
        (409, "API_CONFLICT"),
        (422, "API_INVALID"),
        (429, "API_SERVER_FAULT"),
        (500, "API_SERVER_FAULT"),
        (400, "API_REFUSED"),
    ],
)
def test_each_error_has_its_code_and_the_servers_message(
    client: KubeClient, server: Server, status: int, code: str
) -> None:
    server.answers["/api/v1/namespaces/ns/pods/p"] = (status, {"message": "because", "reason": "R"})
    with pytest.raises(api_errors.ApiError) as caught:
        client.get("v1", "Pod", "p", "ns")
    assert caught.value.code == code
    assert caught.value.cause == "because"
    assert caught.value.remedy


def test_an_error_that_is_not_json_is_shown_unchanged(client: KubeClient, server: Server) -> None:
    server.answers["/readyz"] = (500, "[-]etcd failed")
    with pytest.raises(api_errors.ServerFaultError, match="etcd failed"):
        client.readyz()


def test_a_missing_server_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    client = KubeClient.from_kubeconfig(kubeconfig(url))
    with pytest.raises(api_errors.UnreachableError, match="connection refused") as caught:
        client.readyz()
    assert caught.value.code == "API_UNREACHABLE"
    assert caught.value.exit_status == ExitStatus.ENVIRONMENT
    assert url in caught.value.message


def test_a_server_that_does_not_answer_times_out() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = KubeClient.from_kubeconfig(kubeconfig(url), timeout=0.2)
        with pytest.raises(api_errors.UnreachableError, match="no answer in time"):
            client.readyz()


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_request_for_one_object_without_a_name_is_never_sent(name: str) -> None:
    """Its path would be that of the list: a DELETE would remove all objects."""
    api = FakeApi()
    client = api.client()
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "ns"}}
    assert client.delete("v1", "Pod", name, "ns") is False
    assert client.find("v1", "Pod", name, "ns") is None
    requests: list[Callable[[], object]] = [
        lambda: client.get("v1", "Pod", name, "ns"),
        lambda: client.patch("v1", "Pod", name, {}, "ns"),
        lambda: client.evict(name, "ns"),
        lambda: client.logs(name, "ns"),
        lambda: client.apply(manifest),
        lambda: client.replace(manifest),
        lambda: client.kubelet_healthz(name),
    ]
    for request in requests:
        with pytest.raises(api_errors.NotFoundError, match="no object has the name"):
            request()
    assert api.requests == []
