"""A healthy Airflow for tests, and a stack that has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from devstack.config import StackSpec
from devstack.deployers.airflow.deployer import AirflowDeployer, open_deployer
from devstack.ports import LOOPBACK
from devstack.services import SERVICES
from devstack.stack import Stack
from devstack.state import StackDir, StackState
from tests.fakes.airflow_server import PASSWORD, AirflowServer
from tests.fakes.api import FakeApi, pod
from tests.fakes.runner import FakeClock, FakeRunner, Recorder

KUBECTL = "/usr/bin/kubectl"


class FakeAirflow:
    """A healthy Airflow with the DAGs that a test adds.

    Attributes:
        server: its API.
        answers: answers to GET by path; a change takes effect with the next request.
        password: the administrator's.
        port: the server's port.
    """

    def __init__(self, server: AirflowServer) -> None:
        healthy = {"status": "healthy", "latest_scheduler_heartbeat": "2026-01-01T00:00:00+00:00"}
        self.server = server
        self.password = PASSWORD
        self.port = server.port
        self.answers: dict[str, Any] = {}
        self.set("/health", {"metadatabase": {"status": "healthy"}, "scheduler": healthy})
        self.set("/importErrors", {"import_errors": [], "total_entries": 0})
        self.set("/pools", {"pools": [{"name": "default_pool"}], "total_entries": 1})
        self.set("/dags", {"dags": [], "total_entries": 0})

    @property
    def paths(self) -> list[str]:
        """The requested paths."""
        return [path for _method, path, _body in self.server.requests]

    def set(self, path: str, answer: Any) -> None:
        """Set the answer to GET of a path."""
        self.answers[path] = answer
        self.server.answer("GET", path, lambda _query: (200, self.answers[path]))

    def add_dag(self, dag_id: str, *, pool: str = "default_pool", **fields: Any) -> None:
        """Add a DAG of one task, without runs."""
        dag = {"dag_id": dag_id, "is_active": True, "is_paused": False, "last_parsed_time": None}
        dags = [*self.answers["/dags"]["dags"], {**dag, **fields}]
        self.set("/dags", {"dags": dags, "total_entries": len(dags)})
        self.set(f"/dags/{dag_id}/tasks", {"tasks": [{"task_id": "start", "pool": pool}]})
        self.set(f"/dags/{dag_id}/dagRuns", {"dag_runs": [], "total_entries": 0})


@contextmanager
def fake_airflow() -> Iterator[FakeAirflow]:
    """Serve a healthy Airflow on a free port."""
    server = AirflowServer()
    try:
        yield FakeAirflow(server)
    finally:
        server.stop()


def airflow_stack(port: int, directory: Path) -> Stack:
    """Return a stack that is up, and whose Airflow listens on ``port``."""
    state = StackState("mine", ports={"airflow": port}, phase="up", gangs="off")
    state.credentials["airflow_admin_password"] = PASSWORD
    stack_dir = StackDir("mine", directory)
    stack_dir.write(state)
    return Stack(
        spec=StackSpec("mine", timeout=60),
        dir=stack_dir,
        state=state,
        runner=FakeRunner(),
        clock=FakeClock(),
        progress=Recorder(),
        services=SERVICES,
    )


def airflow_deployer(
    server: AirflowServer, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[AirflowDeployer, FakeApi, FakeRunner]:
    """Return the deployer of a stack with a running scheduler, its Kubernetes API and runner.

    The runner has kubectl; writes to the folder of DAG files are in its calls.
    """
    stack, api = airflow_stack(server.port, directory), FakeApi()
    assert server.url == f"http://{LOOPBACK}:{server.port}"
    monkeypatch.setattr(stack, "kube", lambda *_arguments, **_options: api.client())
    monkeypatch.setattr("devstack.tools.ensure_kubectl", lambda *_a, **_o: Path(KUBECTL))
    statuses = [{"name": "scheduler", "state": {"running": {}}}]
    labels = {"component": "scheduler"}
    api.add(pod("airflow-scheduler-1", "airflow", labels=labels, containerStatuses=statuses))
    assert isinstance(stack.runner, FakeRunner)
    stack.runner.answer(KUBECTL)
    return open_deployer(stack), api, stack.runner


def kubectl_scripts(runner: FakeRunner) -> list[tuple[str, str]]:
    """Return what was done in the folder of DAG files: (``write``, content), (``touch``, path)."""
    calls = [call for call in runner.calls if call.argv[0] == KUBECTL]
    return [
        (call.argv[call.argv.index("sh") + 3], str(call.input) or call.argv[-1]) for call in calls
    ]
