"""Set the number of Celery workers by the number of tasks that wait or run.

It needs no Airflow: it counts in the database, and changes one number by the Kubernetes API.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import ssl
import time
import urllib.request
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

POLL_SECONDS = 1.0
IDLE_SECONDS = 60.0
"""A worker that was needed within this time is kept."""
TIMEOUT = 10.0
ALIVE = Path("/tmp/alive")  # noqa: S108 - a pod's own
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
WORKERS = "airflow-worker"

COUNT = """
SELECT count(*), coalesce(1 + max(substring(hostname FROM '^airflow-worker-([0-9]+)')::int)
  FILTER (WHERE state = 'running'), 0)
FROM task_instance
WHERE state IN ('queued', 'running', 'restarting') AND queue = %(queue)s
  AND (executor = %(executor)s OR (executor IS NULL AND %(is_default)s))
"""


@dataclass
class Demand:
    """The number of workers that the tasks need, over time.

    Attributes:
        least: the least number of workers.
        most: the most.
        concurrency: the tasks of each.
    """

    least: int
    most: int
    concurrency: int

    def __post_init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def workers(self, tasks: int, occupied: int, now: float) -> int:
        """Return the number of workers: up at once, down after they were idle for a while.

        Args:
            tasks: those that wait or run.
            occupied: the number of workers up to the last one that executes a task. Kubernetes
                removes the last ones first, which may kill a task that takes longer than the
                grace period.
            now: seconds of a clock that never goes back.
        """
        needed = max(math.ceil(tasks / self.concurrency), occupied, self.least)
        needed = min(needed, self.most)
        self._seen.append((now, needed))
        while now - self._seen[0][0] > IDLE_SECONDS:
            self._seen.popleft()
        return max(count for _, count in self._seen)


class Scale:
    """The scale of the workers' StatefulSet."""

    def __init__(self) -> None:
        host = os.environ["KUBERNETES_SERVICE_HOST"]
        namespace = (ACCOUNT / "namespace").read_text()
        path = f"apis/apps/v1/namespaces/{namespace}/statefulsets/{WORKERS}/scale"
        port = os.environ["KUBERNETES_SERVICE_PORT_HTTPS"]
        self._url = f"https://{host if ':' not in host else f'[{host}]'}:{port}/{path}"
        self._context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))

    def read(self) -> int:
        """Return the number of workers that are wanted now."""
        return int(self._request("GET")["spec"].get("replicas", 0))

    def write(self, count: int) -> None:
        """Change the number of workers."""
        self._request("PATCH", {"spec": {"replicas": count}})

    def _request(self, method: str, body: dict[str, Any] | None = None) -> Any:
        # The kubelet replaces the token once an hour.
        headers = {
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Content-Type": "application/merge-patch+json",
        }
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self._url, data, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(  # noqa: S310 - the API server's address
            request, timeout=TIMEOUT, context=self._context
        ) as response:
            return json.load(response)


def main() -> None:
    """Scale until the process is stopped; no fault of the database or the API ends it."""
    settings = json.loads(os.environ["DEVSTACK_SCALING"])
    demand = Demand(settings["min"], settings["max"], settings["concurrency"])
    scale = Scale()
    connection = None
    while True:
        ALIVE.touch()
        try:
            connection = connection or _connect()
            wanted = demand.workers(*_count(connection, settings), time.monotonic())
            current = scale.read()
            if wanted != current:
                print(f"{current} workers, {wanted} needed", flush=True)  # noqa: T201
                scale.write(wanted)
        except psycopg2.Error as error:
            print(f"cannot count tasks: {error}".strip(), flush=True)  # noqa: T201
            connection = None
        except (OSError, http.client.HTTPException, ValueError) as error:
            print(f"cannot scale the workers: {error}", flush=True)  # noqa: T201
        time.sleep(POLL_SECONDS)


def _connect() -> Any:
    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    connection = psycopg2.connect(url, connect_timeout=5)
    connection.autocommit = True
    return connection


def _count(connection: Any, settings: dict[str, Any]) -> tuple[int, int]:
    """Return the number of tasks, and of workers up to the last one that executes one."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT, settings)
        tasks, occupied = cursor.fetchone()
        return int(tasks), int(occupied)


if __name__ == "__main__":
    main()
