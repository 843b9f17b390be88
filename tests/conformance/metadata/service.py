"""The metadata service as a process of its own, and a Postgres for it in a container."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import requests

from devstack.images.catalogue import IMAGES
from devstack.images.programs import CONTAINERS
from devstack.ports import LOOPBACK, any_free
from devstack.waits import Observation, Ready, SystemClock, Waiting, wait_until
from tests.support.footprint import TEST_LABEL

FLOWS = Path(__file__).with_name("flows")
USER = "metadata"


class Postgres:
    """The stack's Postgres image in a container, on a port that stays the same."""

    def __init__(self) -> None:
        self._password = secrets.token_urlsafe(12)
        self._port = any_free(set())
        self._container: Any = docker.from_env().containers.create(
            IMAGES["postgres"].reference,
            labels={TEST_LABEL: "metadata"},
            environment={"POSTGRES_PASSWORD": self._password, "POSTGRES_USER": USER},
            ports={"5432/tcp": (LOOPBACK, self._port)},
        )

    def start(self) -> None:
        """Start the server, for the first time or after it was killed; do not wait."""
        self._container.start()

    def kill(self) -> None:
        """Kill the server; its data remains on disk."""
        self._container.kill()
        self._container.wait()

    def remove(self) -> None:
        """Remove it, and its data."""
        self._container.remove(force=True, v=True)

    def url(self, database: str = USER) -> str:
        """Return the connection URL."""
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{self._port}/{database}"

    def psql(self, statement: str, database: str = USER) -> str:
        """Return the result of a statement."""
        status, output = self._container.exec_run(
            ["psql", "-h", "/tmp", "-U", USER, "-d", database, "-Atqc", statement],
            environment={"PGPASSWORD": self._password},
        )
        assert status == 0, output.decode()
        return str(output.decode().strip())


@dataclass
class Service:
    """One process of the service.

    Attributes:
        database: connection URL of its Postgres.
        log: its log file.
        key: the key that it requires.
        port: the port that it listens on.
    """

    database: str
    log: Path
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    port: int = field(default_factory=lambda: any_free(set()))
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start it without waiting."""
        settings = {
            "METADATA_DATABASE": self.database,
            "METADATA_HOST": LOOPBACK,
            "METADATA_PORT": str(self.port),
            "METADATA_KEY": self.key,
            "PYTHONPATH": os.pathsep.join(
                str(CONTAINERS / name / "rootfs" / "opt" / "devstack")
                for name in ("database_service", "metadata")
            ),
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "metadata_service"],
                env={**os.environ, **settings},
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """Kill it, as the kernel does if memory runs out."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Terminate it, and verify that it shuts down cleanly."""
        assert self._process
        self._process.terminate()
        # When all is done, uvicorn lets the signal end it.
        status = self._process.wait(timeout=15)
        log = self.log.read_text()
        assert status in (0, -signal.SIGTERM), log
        assert "Traceback" not in log
        assert "Finished server process" in log

    def wait_ready(self, timeout: float = 60) -> None:
        """Wait until it and its database respond."""
        wait_until(self._observe, what="the metadata service", timeout=timeout, clock=SystemClock())

    def _observe(self) -> Observation:
        try:
            answer = requests.get(f"{self.url}/ready", timeout=15)
        except requests.ConnectionError as error:
            return Waiting(str(error))
        return Ready() if answer.ok else Waiting(answer.text)

    def request(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> requests.Response:
        """Send a request, with the key."""
        headers = {"x-api-key": self.key}
        return requests.request(
            method, self.url + path, json=body, headers=headers, timeout=60, **options
        )

    def get(self, path: str, **options: Any) -> Any:
        """GET an existing path; return its JSON."""
        answer = self.request("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None) -> Any:
        """POST ``body``; return the JSON of the response."""
        answer = self.request("POST", path, {} if body is None else body)
        assert answer.status_code == 200, answer.text
        return answer.json()


class Metaflow:
    """Metaflow itself, pointed at a service.

    Args:
        service: the service.
        folder: where flows keep their data.
    """

    def __init__(self, service: Service, folder: Path) -> None:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("METAFLOW_")
        }
        self.environment = {
            **inherited,
            "METAFLOW_HOME": str(folder / "home"),
            "METAFLOW_USER": "tester",
            "METAFLOW_DEFAULT_DATASTORE": "local",
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder),
            "METAFLOW_DEFAULT_METADATA": "service",
            "METAFLOW_SERVICE_URL": service.url,
            "METAFLOW_SERVICE_AUTH_KEY": service.key,
        }

    def start(self, flow: str, *argv: str) -> subprocess.Popen[str]:
        """Start a flow of the folder ``flows``."""
        return subprocess.Popen(
            [sys.executable, str(FLOWS / f"{flow}.py"), *argv],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, flow: str, *argv: str) -> str:
        """Run a flow to its end and return what it printed."""
        process = self.start(flow, *argv)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        return output

    def evaluate(self, program: str) -> Any:
        """Run a program with Metaflow's client; return its variable ``found``."""
        text = f"import json\nfrom metaflow import *\n{program}\nprint(json.dumps(found))"
        done = subprocess.run(
            [sys.executable, "-c", text],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])
