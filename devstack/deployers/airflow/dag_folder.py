"""Airflow's folder of DAG files, which is accessed through the scheduler's pod.

A file is written next to the folder and renamed into it, so that the scheduler
never reads an incomplete file.
"""

from __future__ import annotations

from dataclasses import dataclass

from devstack.deployers.airflow.scheduler_pod import SchedulerPod, last_line
from devstack.errors import DevstackError
from devstack.services.airflow.installation import HOME
from devstack.stack import Stack

EXEC_TIMEOUT = 60.0

_WRITE = 'new=$(mktemp "$1/.new.XXXXXX") && cat > "$new" && chmod 644 "$new" && mv "$new" "$2"'


@dataclass(frozen=True)
class DagFolder:
    """Writes and deletes DAG files of a stack.

    All methods raise DevstackError: ``SCHEDULER_DOWN`` or ``DELIVERY_FAILED``.

    Attributes:
        stack: the stack.
    """

    stack: Stack

    def write(self, dag_id: str, text: str) -> None:
        """Write a DAG's file atomically."""
        self._exec([_WRITE, "write", HOME, dag_path(dag_id)], text)

    def touch(self, dag_id: str) -> None:
        """Update the modification time of a DAG's file, so that the scheduler parses it again."""
        self._exec(['touch -c "$1"', "touch", dag_path(dag_id)], "")

    def delete(self, dag_id: str) -> None:
        """Delete a DAG's file if it exists."""
        self._exec(['rm -f "$1"', "delete", dag_path(dag_id)], "")

    def _exec(self, script: list[str], text: str) -> None:
        done = SchedulerPod(self.stack).exec(["sh", "-ec", *script], text, timeout=EXEC_TIMEOUT)
        if not done.ok:
            raise DevstackError(
                "cannot write to Airflow's folder of DAG files",
                cause=last_line(done.stderr) or f"status {done.returncode}",
                remedy="check the scheduler with `devstack status`",
                code="DELIVERY_FAILED",
            )


def dag_path(dag_id: str) -> str:
    """Return the path of a DAG's file in Airflow's pods."""
    return f"{HOME}/dags/{dag_id}.py"
