"""Airflow's folder of DAG files, which is accessed through the scheduler's pod.

A file is written next to the folder and renamed into it, so that the scheduler
never reads an incomplete file.
"""

from __future__ import annotations

from dataclasses import dataclass

from devstack.errors import DevstackError
from devstack.services.airflow.installation import DEFAULT, HOME, SCHEDULER
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
        stack = self.stack
        argv = [
            str(stack.kubectl()),
            f"--kubeconfig={stack.dir.admin_kubeconfig}",
            f"--cache-dir={stack.dir.kubectl_cache}",
            f"--namespace={DEFAULT.namespace}",
            "exec",
            "--stdin",
            "--container=scheduler",
            self._scheduler_pod(),
            "--",
            "sh",
            "-ec",
            *script,
        ]
        done = stack.runner.run(argv, input=text, timeout=EXEC_TIMEOUT, check=False)
        if not done.ok:
            raise DevstackError(
                "cannot write to Airflow's folder of DAG files",
                cause=(done.stderr.strip() or f"status {done.returncode}").splitlines()[-1],
                remedy="check the scheduler with `devstack status`",
                code="DELIVERY_FAILED",
            )

    def _scheduler_pod(self) -> str:
        pods = self.stack.kube().list_objects("v1", "Pod", DEFAULT.namespace, labels=SCHEDULER)
        for pod in pods:
            statuses = pod.get("status", {}).get("containerStatuses") or []
            running = any("running" in each.get("state", {}) for each in statuses)
            if running and "deletionTimestamp" not in pod["metadata"]:
                return str(pod["metadata"]["name"])
        raise DevstackError(
            "Airflow's scheduler is not running",
            cause="its pod is not running" if pods else "it has no pod",
            remedy="devstack why, devstack logs airflow; `devstack up` restores it",
            code="SCHEDULER_DOWN",
        )


def dag_path(dag_id: str) -> str:
    """Return the path of a DAG's file in Airflow's pods."""
    return f"{HOME}/dags/{dag_id}.py"
