"""The state of a task in Airflow's database, for a Celery worker that got its message."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

WATCH_SECONDS = 20.0
"""Within this time the heartbeat of a task that runs advances; its interval is 5 seconds."""
POLL_SECONDS = 1.0
QUERY = """
SELECT ti.state, job.latest_heartbeat
FROM task_instance ti LEFT JOIN job ON job.id = ti.job_id
WHERE ti.external_executor_id = :message
  AND ti.dag_id = :dag AND ti.task_id = :task AND ti.run_id = :run AND ti.map_index = :index
"""


@dataclass(frozen=True)
class Task:
    """A task of a run.

    Attributes:
        dag: the DAG's id.
        task: the task's id.
        run: the run's id.
        index: the index of a mapped task; -1 for others.
        message: the id of the Celery message that started it; each attempt has its own.
    """

    dag: str
    task: str
    run: str
    index: int = -1
    message: str = ""

    @classmethod
    def of_command(cls, command: list[str], message: str = "") -> Task:
        """Return the task of a command: airflow tasks run DAG TASK RUN ... --map-index N."""
        index = -1
        if "--map-index" in command:
            index = int(command[command.index("--map-index") + 1])
        return cls(command[3], command[4], command[5], index, message)

    @property
    def log_folder(self) -> str:
        """The folder of its attempts' logs (Airflow's log_filename_template)."""
        mapped = f"/map_index={self.index}" if self.index >= 0 else ""
        return f"dag_id={self.dag}/run_id={self.run}/task_id={self.task}{mapped}"


class LostTaskError(Exception):
    """A task is recorded as running, and nothing executes it."""


def is_running(task: Task) -> bool:
    """Return True if Airflow has recorded that the attempt of this message runs."""
    return _read(task)[0] == "running"


def is_running_elsewhere(task: Task) -> bool:
    """Return True if the task runs, and its heartbeat advances; takes up to 20 seconds.

    Raises:
        LostTaskError: it is recorded as running, and its heartbeat has stopped. Celery reports
            it as failed, and Airflow retries it if it has retries.
    """
    state, first = _read(task)
    deadline = time.monotonic() + WATCH_SECONDS
    while state == "running" and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        state, beat = _read(task)
        if state == "running" and beat != first:
            return True
    if state == "running":
        raise LostTaskError(f"the worker that executed {task.task} of {task.run} was lost")
    # Queued: its worker was lost before it started. Otherwise Airflow itself refuses it.
    return False


def _read(task: Task) -> tuple[str, Any]:
    from airflow import settings
    from sqlalchemy import text
    from sqlalchemy.exc import OperationalError

    while True:
        try:
            with settings.engine.connect() as connection:
                row = connection.execute(text(QUERY), vars(task)).first()
                return tuple(row) if row else ("", None)
        except OperationalError:
            # Without the database nothing is known, and no task could record its end.
            time.sleep(POLL_SECONDS)
