"""The Kubernetes API as the pipelines API uses it: workflows, and a controller that tests play."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

PHASE = "workflows.argoproj.io/phase"
Object = dict[str, Any]


class WorkflowApi:
    """Workflows and cron workflows by name.

    Attributes:
        workflows: workflows.
        crons: cron workflows.
        policies: propagation policies of deletions.
        failing: True to answer every request with 503.
    """

    def __init__(self) -> None:
        self.workflows: dict[str, Object] = {}
        self.crons: dict[str, Object] = {}
        self.policies: list[str] = []
        self.failing = False
        self._numbers = count(1)

    def set_phase(self, name: str, phase: str, message: str = "") -> None:
        """Let a workflow be in a phase, as the controller does."""
        workflow = self.workflows[name]
        workflow["metadata"]["labels"][PHASE] = phase
        ended = (
            {"finishedAt": "2026-11-28T05:00:00Z"} if phase not in ("Pending", "Running") else {}
        )
        workflow["status"] = {"phase": phase, "message": message, **ended}

    def start_scheduled(self, name: str) -> Object:
        """Start a run of a cron workflow, as the controller does; return its workflow."""
        cron = self.crons[name]
        metadata, spec = cron["spec"]["workflowMetadata"], cron["spec"]["workflowSpec"]
        uid = str(uuid4())
        labels = dict.fromkeys(spec["workflowMetadata"]["labelsFrom"], uid)
        time = {"workflows.argoproj.io/scheduled-time": "2026-11-28T04:00:00Z"}
        made = {
            "metadata": {
                "name": f"{name}-{next(self._numbers)}",
                "labels": {**metadata["labels"], **labels},
                "annotations": {**metadata["annotations"], **time},
                "creationTimestamp": "2026-11-28T04:00:01Z",
            },
            "spec": spec,
        }
        self.workflows[made["metadata"]["name"]] = made
        return made


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        item = self._body()
        store, _ = self._place()
        name = item["metadata"]["name"]
        if name in store:
            self._answer(409, {"message": f"{name} exists"})
            return
        item["metadata"]["creationTimestamp"] = "2026-11-28T04:00:01Z"
        store[name] = item
        self._answer(201, item)

    def do_GET(self) -> None:
        store, name = self._place()
        only_metadata = "PartialObjectMetadata" in self.headers["Accept"]
        if not name:
            label = parse_qs(urlsplit(self.path).query)["labelSelector"][0]
            items = [each for each in store.values() if label in each["metadata"].get("labels", {})]
            self._answer(200, {"items": [self._shown(each, only_metadata) for each in items]})
        elif name in store:
            self._answer(200, self._shown(store[name], only_metadata))
        else:
            self._answer(404, {"message": "not found"})

    def do_PATCH(self) -> None:
        store, name = self._place()
        if name not in store:
            self._answer(404, {"message": "not found"})
            return
        store[name]["spec"].update(self._body()["spec"])
        self._answer(200, store[name])

    def do_DELETE(self) -> None:
        store, name = self._place()
        self._api.policies.append(self._body()["propagationPolicy"])
        found = store.pop(name, None)
        self._answer(200 if found else 404, {"message": "not found"})

    @property
    def _api(self) -> WorkflowApi:
        return self.server.api  # type: ignore[attr-defined, no-any-return]

    @staticmethod
    def _shown(item: Object, only_metadata: bool) -> Object:
        return {"metadata": item["metadata"]} if only_metadata else item

    def _place(self) -> tuple[dict[str, Object], str]:
        path = urlsplit(self.path).path.removeprefix("/apis/argoproj.io/v1alpha1/namespaces/flows/")
        plural, _, name = path.partition("/")
        return {"workflows": self._api.workflows, "cronworkflows": self._api.crons}[plural], name

    def _body(self) -> Object:
        body: Object = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        return body

    def _answer(self, status: int, body: Object) -> None:
        if self._api.failing:
            status, body = 503, {"message": "overloaded"}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def workflow_api() -> Iterator[tuple[WorkflowApi, str]]:
    """Serve an empty API on loopback; yield it and its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.api = api = WorkflowApi()  # type: ignore[attr-defined]
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield api, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
