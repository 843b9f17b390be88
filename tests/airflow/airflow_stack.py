"""A stack's Airflow for tests, accessed by its REST API and kubectl."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

import requests

from tests.support.commandline import Devstack
from tests.support.eventually import eventually

NAMESPACE = "airflow"
RUN_SECONDS = 240.0

_DAG = """\
from datetime import datetime, timedelta
from airflow import DAG
from airflow.providers.cncf.kubernetes.operators.kubernetes_pod import KubernetesPodOperator

with DAG("{dag_id}", start_date=datetime(2026, 1, 1), schedule=None, is_paused_upon_creation=False):
    KubernetesPodOperator(
        task_id="task", name="{dag_id}", namespace="metaflow", image="{image}",
        cmds=["sh", "-c", {script!r}], do_xcom_push=True, is_delete_operator_pod=True,
        retries={retries}, retry_delay=timedelta(seconds=1),
    )
# {note}
"""


@dataclass
class Airflow:
    """Airflow of one stack.

    Attributes:
        stack: the stack; it is up.
    """

    stack: Devstack

    @property
    def state(self) -> dict[str, Any]:
        """The stack's state file."""
        state: dict[str, Any] = json.loads((self.stack.directory / "stack.json").read_text())
        return state

    @property
    def url(self) -> str:
        """The web server's address."""
        return f"http://127.0.0.1:{self.state['ports']['airflow']}"

    def request(self, method: str, path: str, **body: Any) -> requests.Response:
        """Send a request to the REST API as the administrator."""
        login = ("admin", self.state["credentials"]["airflow_admin_password"])
        content = body or None
        return requests.request(
            method, f"{self.url}/api/v1/{path}", auth=login, json=content, timeout=30
        )

    def get(self, path: str) -> dict[str, Any]:
        """Return the resource at ``path`` of the REST API."""
        answer = self.request("GET", path)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def answers(self) -> bool:
        """Return True if web server, scheduler and database are healthy."""
        try:
            health = requests.get(f"{self.url}/health", timeout=5).json()
        except (requests.RequestException, ValueError):
            return False
        return all(health[part]["status"] == "healthy" for part in ("scheduler", "metadatabase"))

    def kubectl(self, *argv: str, stdin: str | None = None) -> str:
        """Run kubectl as administrator in Airflow's namespace; return its output."""
        command = self.stack.command("kubectl", "--admin", f"--namespace={NAMESPACE}", *argv)
        done = subprocess.run(
            command,
            env=self.stack.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pod(self, part: str) -> str:
        """Return the pod of a component, such as ``scheduler``, that is not terminating."""
        found = json.loads(self.kubectl("get", "pods", f"-lcomponent={part}", "-ojson"))["items"]
        (pod,) = [each for each in found if "deletionTimestamp" not in each["metadata"]]
        return str(pod["metadata"]["name"])

    def kill(self, part: str, namespace: str = NAMESPACE) -> None:
        """Kill the pod of a component, such as ``scheduler``, and wait until the next one is ready.

        The killed pod's process may answer for a moment, so requests to the service
        cannot distinguish the two.
        """
        label = f"component={part}" if namespace == NAMESPACE else f"app.kubernetes.io/name={part}"
        selected = ("pods", f"--namespace={namespace}", f"--selector={label}")
        before = self.kubectl("get", *selected, "--output=name")
        self.kubectl("delete", *selected, "--force", "--grace-period=0")
        eventually(
            f"the replacement of {before}",
            lambda: self.kubectl("get", *selected, "--output=name") not in ("", before),
            timeout=120,
        )
        self.kubectl("wait", *selected, "--for=condition=Ready", "--timeout=180s")

    def write(self, dag_id: str, text: str) -> None:
        """Write a DAG file atomically."""
        script = f"cat >/airflow/.{dag_id} && mv /airflow/.{dag_id} /airflow/dags/{dag_id}.py"
        self.kubectl("exec", "-i", self.pod("scheduler"), "--", "sh", "-c", script, stdin=text)

    def deploy(
        self, dag_id: str, script: str, retries: int = 0, note: str = "", parsed: bool = True
    ) -> None:
        """Write a DAG of one task, a pod that runs ``script``; wait until Airflow has parsed it."""
        image = self.state["images"]["task"]
        self.write(
            dag_id,
            _DAG.format(dag_id=dag_id, image=image, script=script, retries=retries, note=note),
        )
        if parsed:
            self.await_dag(dag_id)

    def await_dag(self, dag_id: str) -> None:
        """Wait until Airflow has parsed a DAG."""
        eventually(
            f"DAG {dag_id}", lambda: self.request("GET", f"dags/{dag_id}").status_code == 200
        )

    def start(self, dag_id: str, date: str = "") -> str:
        """Trigger a run; return its path below the API's root.

        Args:
            dag_id: the DAG.
            date: the run's logical date; now if empty.
        """
        dated = {"logical_date": date} if date else {}
        answer = self.request("POST", f"dags/{dag_id}/dagRuns", conf={}, **dated)
        answer.raise_for_status()
        return f"dags/{dag_id}/dagRuns/{answer.json()['dag_run_id']}"

    def state_of(self, run: str) -> str:
        """Return a run's state."""
        return str(self.get(run)["state"])

    def task(self, run: str) -> dict[str, Any]:
        """Return the run's one task instance."""
        return self.get(f"{run}/taskInstances/task")

    def finish(self, run: str) -> str:
        """Wait until a run is finished; return its state."""
        eventually(
            f"the end of {run}",
            lambda: self._has_ended(run),
            timeout=RUN_SECONDS,
            interval=1.0,
        )
        return self.state_of(run)

    def _has_ended(self, run: str) -> bool:
        try:
            return self.state_of(run) not in ("queued", "running")
        except (requests.ConnectionError, requests.Timeout):
            # The web server is one of the parts that tests interrupt.
            return False

    def result(self, run: str) -> Any:
        """Return the result of the run's task."""
        return self.get(f"{run}/taskInstances/task/xcomEntries/return_value")["value"]

    def log(self, run: str, attempt: int = 1, map_index: int = -1) -> str:
        """Return the log of the run's task, or of one of its mapped instances."""
        mapped = f"&map_index={map_index}" if map_index >= 0 else ""
        path = f"{run}/taskInstances/task/logs/{attempt}?full_content=true{mapped}"
        return self.request("GET", path).text

    def task_pods(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the current pods of the DAG's tasks."""
        argv = ("get", "pods", "--namespace=metaflow", f"-ldag_id={dag_id}", "-ojson")
        found: list[dict[str, Any]] = json.loads(self.kubectl(*argv))["items"]
        return found
