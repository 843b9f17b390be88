"""A process of the pipelines API, and requests to it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from devstack.images.build_context import CONTAINERS
from devstack.ports import LOOPBACK, any_free
from devstack.waits import Observation, Ready, SystemClock, Waiting, wait_until

DATA = Path(__file__).parents[2] / "unit" / "data" / "kubeflow"


@dataclass
class Service:
    """One process of the service.

    Attributes:
        database: connection URL of its Postgres.
        kubernetes: address of its Kubernetes API.
        log: its log file.
        token: the token that it requires.
        port: the port that it listens on.
    """

    database: str
    kubernetes: str
    log: Path
    token: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    port: int = field(default_factory=lambda: any_free(set()))
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it and its database respond."""
        folders = (
            CONTAINERS / name / "rootfs" / "opt" / "devstack"
            for name in ("database_service", "kubeflow")
        )
        settings = {
            "PIPELINES_DATABASE": self.database,
            "PIPELINES_HOST": LOOPBACK,
            "PIPELINES_PORT": str(self.port),
            "PIPELINES_TOKEN": self.token,
            "PIPELINES_NAMESPACE": "flows",
            "PIPELINES_KUBERNETES": self.kubernetes,
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kubeflow_pipelines"],
                env={**os.environ, **settings},
                stdout=log,
                stderr=log,
            )
        wait_until(self._observe, what="the pipelines API", timeout=60, clock=SystemClock())

    def stop(self) -> None:
        """Terminate it, and verify that it shuts down cleanly."""
        assert self._process
        self._process.terminate()
        self._process.wait(timeout=15)
        assert "Traceback" not in self.log.read_text()

    def _observe(self) -> Observation:
        try:
            answer = requests.get(f"{self.url}/ready", timeout=15)
        except requests.ConnectionError as error:
            return Waiting(str(error))
        return Ready() if answer.ok else Waiting(answer.text)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request, with the token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"{self.url}/apis/v2beta1/{path}"
        return requests.request(method, url, headers=headers, timeout=30, **options)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return what a GET answers."""
        return _answer(self.request("GET", path, params=query))

    def post(self, path: str, body: Any = None) -> dict[str, Any]:
        """Return what a POST answers."""
        return _answer(self.request("POST", path, json=body or {}))

    def delete(self, path: str) -> dict[str, Any]:
        """Return what a DELETE answers."""
        return _answer(self.request("DELETE", path))

    def upload(self, name: str, file: str, **query: str) -> requests.Response:
        """Upload a pipeline of the test data, or a version of one."""
        content = (DATA / f"{file}.yaml").read_bytes()
        path = "pipelines/upload_version" if "pipelineid" in query else "pipelines/upload"
        form = {"uploadfile": (f"{file}.yaml", content)}
        return self.request("POST", path, params={"name": name, **query}, files=form)


def _answer(answer: requests.Response) -> dict[str, Any]:
    assert answer.ok, answer.text
    body: dict[str, Any] = answer.json()
    return body
