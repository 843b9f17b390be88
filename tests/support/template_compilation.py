"""Compile flows to templates of Argo, with a Kubernetes API and an S3 of the test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import yaml

from devstack.deployers.argo.compile import CompiledTemplate, compile_flow
from devstack.deployers.base import DeployOptions
from devstack.flows.environment import FlowEnvironment
from devstack.flows.source import FlowSource
from devstack.process import SubprocessRunner
from devstack.services.argo_events import ArgoEventsService
from devstack.services.base import ServiceContext
from devstack.state import StackState
from tests.support.dag_compilation import compile_environment


class EmptyCluster(BaseHTTPRequestHandler):
    """A Kubernetes API without objects; ``written`` has the requests that would change it."""

    written: tuple[str, ...] = ()

    def do_GET(self) -> None:
        """Answer that there is no such object."""
        if self.command not in ("GET", "DELETE"):
            type(self).written += (f"{self.command} {self.path}",)
        body = json.dumps({"kind": "Status", "message": "not found", "code": 404}).encode()
        self.send_response(404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the server's names

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def empty_cluster() -> Iterator[tuple[type[EmptyCluster], int]]:
    """Yield a Kubernetes API without objects, and its port."""
    handler = type("Cluster", (EmptyCluster,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield handler, server.server_port
        server.shutdown()


def argo_environment(folder: Path, s3: str, port: int, **variables: str) -> FlowEnvironment:
    """Return the environment of a flow's process.

    Args:
        folder: a folder of the test.
        s3: address of the S3 server.
        port: port of the Kubernetes API.
        variables: further variables.
    """
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "c", "user": {"token": "x"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    }
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    settings = {"KUBECONFIG": str(file), "METAFLOW_KUBERNETES_NAMESPACE": "flows"}
    return compile_environment(folder, s3, **{**settings, **variables})


def compile_template(
    source: FlowSource, env: FlowEnvironment, enable_events: str = "", **options: Any
) -> CompiledTemplate:
    """Compile a flow; ``options`` are those of :class:`DeployOptions`."""
    return compile_flow(DeployOptions(source, **options), env, SubprocessRunner(), enable_events)


def events_environment(env: FlowEnvironment) -> FlowEnvironment:
    """Return the environment of a flow's process if the stack has Argo Events."""
    settings = ArgoEventsService().outputs(ServiceContext(StackState("mine"))).metaflow
    return replace(env, environment={**env.environment, **settings})
