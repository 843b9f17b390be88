"""The pods of Celery's workers."""

from __future__ import annotations

import json

from tests.airflow.airflow_stack import Airflow

WORKERS = "component=celery-worker"


def workers(airflow: Airflow) -> list[str]:
    """Return the names of the workers' pods that are not terminating."""
    items = json.loads(airflow.kubectl("get", "pods", f"-l{WORKERS}", "-ojson"))["items"]
    return [pod["metadata"]["name"] for pod in items if "deletionTimestamp" not in pod["metadata"]]


def kill_processes(airflow: Airflow, worker: str) -> None:
    """Kill all processes of a worker with SIGKILL; its container starts again."""
    kill = "for each in /proc/[0-9]*; do n=${each#/proc/}; [ $n != $$ ] && kill -KILL $n; done"
    airflow.kubectl("exec", worker, "--", "sh", "-c", f"{kill} 2>/dev/null; true")
