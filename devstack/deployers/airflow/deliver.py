"""DAG files on Airflow's volume, written and removed through the scheduler's pod.

A file is written beside the folder of DAGs and renamed into it, so that the
scheduler never reads half of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devstack.errors import DevstackError
from devstack.kube.client import KubeClient
from devstack.process import Runner
from devstack.services.airflow.service import HOME, NAMESPACE, SCHEDULER

EXEC_SECONDS = 60.0

_WRITE = 'new=$(mktemp "$1/.new.XXXXXX") && cat > "$new" && chmod 644 "$new" && mv "$new" "$2"'


@dataclass(frozen=True)
class DagFolder:
    """The folder in which Airflow finds DAGs.

    Attributes:
        kube: finds the scheduler's pod.
        kubectl: the program.
        kubeconfig: the administrator's.
        runner: starts it.
    """

    kube: KubeClient
    kubectl: Path
    kubeconfig: Path
    runner: Runner

    def write(self, dag_id: str, text: str) -> None:
        """Put a DAG's file in place, whole; what was there before is replaced.

        Raises:
            DevstackError: ``SCHEDULER_DOWN`` or ``DELIVERY_FAILED``.
        """
        self._exec([_WRITE, "write", HOME, path_of(dag_id)], text)

    def touch(self, dag_id: str) -> None:
        """Make a DAG's file look new, so that the scheduler reads it again.

        Raises:
            DevstackError: ``SCHEDULER_DOWN`` or ``DELIVERY_FAILED``.
        """
        self._exec(['touch -c "$1"', "touch", path_of(dag_id)], "")

    def remove(self, dag_id: str) -> None:
        """Remove a DAG's file, if there is one.

        Raises:
            DevstackError: ``SCHEDULER_DOWN`` or ``DELIVERY_FAILED``.
        """
        self._exec(['rm -f "$1"', "remove", path_of(dag_id)], "")

    def _exec(self, script: list[str], text: str) -> None:
        argv = [
            str(self.kubectl),
            f"--kubeconfig={self.kubeconfig}",
            f"--cache-dir={self.kubeconfig.parent / 'kubectl-cache'}",
            f"--namespace={NAMESPACE}",
            "exec",
            "--stdin",
            "--container=scheduler",
            self._scheduler(),
            "--",
            "sh",
            "-ec",
            *script,
        ]
        done = self.runner.run(argv, input=text, timeout=EXEC_SECONDS, check=False)
        if not done.ok:
            raise DevstackError(
                "cannot write to Airflow's folder of DAGs",
                cause=(done.stderr.strip() or f"status {done.returncode}").splitlines()[-1],
                remedy="`devstack status` shows whether the scheduler runs",
                code="DELIVERY_FAILED",
            )

    def _scheduler(self) -> str:
        pods = self.kube.list_objects("v1", "Pod", NAMESPACE, labels=SCHEDULER)
        for pod in pods:
            statuses = pod.get("status", {}).get("containerStatuses") or []
            running = any("running" in each.get("state", {}) for each in statuses)
            if running and "deletionTimestamp" not in pod["metadata"]:
                return str(pod["metadata"]["name"])
        raise DevstackError(
            "Airflow's scheduler does not run",
            cause="it has no running pod" if not pods else "its pod is not running",
            remedy="devstack why, devstack logs airflow; `devstack up` brings it back",
            code="SCHEDULER_DOWN",
        )


def path_of(dag_id: str) -> str:
    """Return where a DAG's file lies in Airflow's pods."""
    return f"{HOME}/dags/{dag_id}.py"
