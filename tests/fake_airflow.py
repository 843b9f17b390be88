"""An Airflow whose REST API answers what a test says, behind a real login."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

API = "/api/v1"


class FakeAirflow:
    """What a web server answers.

    Attributes:
        answers: by path below the API's root.
        asked: the paths that were asked for.
        port: where it listens.
    """

    def __init__(self, port: int) -> None:
        healthy = {"status": "healthy", "latest_scheduler_heartbeat": "2026-01-01T00:00:00+00:00"}
        self.port = port
        self.asked: list[str] = []
        self.answers: dict[str, Any] = {
            "/health": {"metadatabase": {"status": "healthy"}, "scheduler": healthy},
            "/importErrors": {"import_errors": [], "total_entries": 0},
            "/pools": {"pools": [{"name": "default_pool"}], "total_entries": 1},
            "/dags": {"dags": [], "total_entries": 0},
        }

    def add_dag(self, dag_id: str, *, pool: str = "default_pool", **fields: Any) -> None:
        """Have a DAG of one task, with no run."""
        dag = {"dag_id": dag_id, "is_active": True, "is_paused": False, "last_parsed_time": None}
        dags = [*self.answers["/dags"]["dags"], {**dag, **fields}]
        self.answers["/dags"] = {"dags": dags, "total_entries": len(dags)}
        self.answers[f"/dags/{dag_id}/tasks"] = {"tasks": [{"task_id": "start", "pool": pool}]}
        self.answers[f"/dags/{dag_id}/dagRuns"] = {"dag_runs": [], "total_entries": 0}


@contextmanager
def fake_airflow() -> Iterator[FakeAirflow]:
    """Serve one on a free port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            told.asked.append(path)
            known = told.answers.get(path.removeprefix(API))
            if path == "/login/":
                self._send(200, b'<input name="csrf_token" value="token">')
            elif known is None:
                self._send(404, b'{"detail": "there is no such thing"}')
            else:
                self._send(200, json.dumps(known).encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._send(302, b"", {"Location": "/home", "Set-Cookie": "session=open"})

        def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            given = {"Set-Cookie": "session=begun", "Content-Length": str(len(body))}
            for name, value in {**given, **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        told = FakeAirflow(server.server_port)
        Thread(target=server.serve_forever, daemon=True).start()
        yield told
        server.shutdown()
