"""An Airflow that is well and has the DAGs a test gives it, for what looks at its health."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.fakes.airflow_server import PASSWORD, AirflowServer


class FakeAirflow:
    """What a web server answers.

    Attributes:
        answers: by path below the API's root; changes count from the next request on.
        password: the administrator's.
        port: where it listens.
    """

    def __init__(self, server: AirflowServer) -> None:
        healthy = {"status": "healthy", "latest_scheduler_heartbeat": "2026-01-01T00:00:00+00:00"}
        self._server = server
        self.password = PASSWORD
        self.port = urlsplit(server.url).port
        self.answers: dict[str, Any] = {}
        self.tell("/health", {"metadatabase": {"status": "healthy"}, "scheduler": healthy})
        self.tell("/importErrors", {"import_errors": [], "total_entries": 0})
        self.tell("/pools", {"pools": [{"name": "default_pool"}], "total_entries": 1})
        self.tell("/dags", {"dags": [], "total_entries": 0})

    @property
    def asked(self) -> list[str]:
        """The paths that were asked for."""
        return [path for _method, path, _body in self._server.asked]

    def tell(self, path: str, answer: Any) -> None:
        """Answer ``path`` so from now on."""
        self.answers[path] = answer
        self._server.answer("GET", path, lambda _query: (200, self.answers[path]))

    def add_dag(self, dag_id: str, *, pool: str = "default_pool", **fields: Any) -> None:
        """Have a DAG of one task, with no run."""
        dag = {"dag_id": dag_id, "is_active": True, "is_paused": False, "last_parsed_time": None}
        dags = [*self.answers["/dags"]["dags"], {**dag, **fields}]
        self.tell("/dags", {"dags": dags, "total_entries": len(dags)})
        self.tell(f"/dags/{dag_id}/tasks", {"tasks": [{"task_id": "start", "pool": pool}]})
        self.tell(f"/dags/{dag_id}/dagRuns", {"dag_runs": [], "total_entries": 0})


@contextmanager
def fake_airflow() -> Iterator[FakeAirflow]:
    """Serve one on a free port."""
    server = AirflowServer()
    try:
        yield FakeAirflow(server)
    finally:
        server.stop()
