"""A pipelines API that knows the pipelines and runs of a test, and workflows as it makes them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from devstack.kube.client import Object
from devstack.ports import LOOPBACK
from tests.fakes.argo import workflow

RUN_ID = "1f0e2d3c"
ROOT = "/apis/v2beta1/"


def pipeline_run(run_id: str = RUN_ID, state: str = "RUNNING", **more: Any) -> dict[str, Any]:
    """Return a run of the pipeline myflow, as the API has it."""
    return {
        "run_id": run_id,
        "state": state,
        "created_at": "2026-11-28T05:00:00Z",
        "pipeline_version_reference": {"pipeline_id": "p"},
        **more,
    }


def pipeline_workflow(
    phase: str = "Running", nodes: tuple[Object, ...] = (), **more: Any
) -> Object:
    """Return the workflow of the run, whose pods have Metaflow's annotations."""
    made = workflow("myflow-1", phase, nodes, **more)
    made["metadata"]["labels"] = {"pipeline/runid": RUN_ID}
    made["metadata"]["annotations"] = {"pipelines.kubeflow.org/run_name": "myflow (20261128)"}
    annotations = {"metaflow/flow_name": "MyFlow"}
    made["spec"] = {"templates": [{"name": "start", "metadata": {"annotations": annotations}}]}
    return made


class Pipelines:
    """The API's records.

    Attributes:
        port: the port on loopback.
        runs: its runs.
        statuses: the status of the paths of probes: ``/ready`` and ``/ping``.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.runs: list[dict[str, Any]] = []
        self.statuses = {"/ready": 200, "/ping": 200}

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        """Return the status and the body of an answer to GET."""
        if path in self.statuses:
            return self.statuses[path], {}
        name = path.removeprefix(ROOT)
        if name == "runs":
            return 200, {"runs": self.runs}
        if name == "pipelines":
            return 200, {"pipelines": [{"pipeline_id": "p", "display_name": "myflow"}]}
        if name == "pipelines/p/versions":
            annotations = {"metaflow/flow_name": "MyFlow"}
            executors = {"exec-start": {"podMetadata": {"annotations": annotations}}}
            deployment = {"deploymentSpec": {"executors": executors}}
            spec = {"platform_spec": {"platforms": {"kubernetes": deployment}}}
            version = {"pipeline_version_id": "v", "pipeline_spec": spec}
            return 200, {"pipeline_versions": [version]}
        for run in self.runs:
            if name == f"runs/{run['run_id']}":
                return 200, run
        return 404, {"message": f"there is no {name}"}


@contextmanager
def serve_pipelines() -> Iterator[Pipelines]:
    """Run the API."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = made.answer(urlsplit(self.path).path)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    made = Pipelines(server.server_address[1])
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()
