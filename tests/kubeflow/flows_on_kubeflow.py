"""Commands that tests run with flows on Kubeflow Pipelines."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.airflow.metaflow_client import run_client
from tests.support import engines
from tests.support.commandline import Devstack
from tests.support.engines import RUN_SECONDS, WORKFLOW

__all__ = ["RUN_SECONDS", "WORKFLOW"]

FLOWS = Path(__file__).parent / "flows"


@dataclass(frozen=True)
class KubeflowStack:
    """A stack with Kubeflow Pipelines.

    Attributes:
        devstack: its command line.
        python: an interpreter with metaflow-kubeflow and kfp.
    """

    devstack: Devstack
    python: Path

    def kubeflow(self, *argv: str, check: bool = True) -> dict[str, Any]:
        """Run a command of `devstack kubeflow`; return the envelope."""
        return engines.call_engine(self.devstack, "kubeflow", *argv, check=check)

    def deploy(self, flow: str, *options: str) -> str:
        """Deploy one of FLOWS, or the flow in another file; return the name of its pipeline."""
        python = ("--python", str(self.python))
        envelope = self.kubeflow("deploy", str(FLOWS / flow), *python, *options)
        return str(envelope["data"]["pipeline"])

    def only(self) -> str:
        """Return the name of the only deployment."""
        (found,) = self.kubeflow("list")["data"]["deployments"]
        return str(found["name"])

    def run_to_end(self, name: str, *options: str, check: bool = True) -> dict[str, Any]:
        """Trigger a run and wait until it ends; return the envelope."""
        return engines.run_to_end(self.devstack, "kubeflow", name, *options, check=check)

    def artifact(self, flow: str, run: Mapping[str, Any], step: str, name: str) -> Any:
        """Return an artifact of a step with one task, read with Metaflow's client."""
        task = f"Run('{flow}/{run['metaflow_run_id']}')['{step}'].task"
        return run_client(self.devstack, f"found = {task}.data.{name}")

    def in_shell(self, flow: str, *argv: str, check: bool = True) -> str:
        """Run Metaflow's own command in `devstack shell`; return its output."""
        command = (str(self.python), str(FLOWS / flow), "kubeflow-pipelines", *argv)
        done = self.devstack.run("shell", "--", *command, check=check)
        return done.stdout + done.stderr

    def kfp(self, program: str) -> Any:
        """Run a program with kfp's client; return its variable ``found``."""
        lines = [
            "import json, kfp, os",
            "client = kfp.Client(existing_token=os.environ['DEVSTACK_KUBEFLOW_TOKEN'])",
            *dedent(program).splitlines(),
            "print(json.dumps(found))",
        ]
        settings = self.devstack.json("env")["data"]
        unset = settings["unset"]
        inherited = {name: value for name, value in os.environ.items() if name not in unset}
        done = subprocess.run(
            [str(self.python), "-W", "ignore", "-c", "\n".join(lines)],
            env={**inherited, **settings["environment"]},
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def objects(self, kind: str, *selection: str) -> list[dict[str, Any]]:
        """Return objects of the task namespace."""
        return engines.task_objects(self.devstack, kind, *selection)

    def delete_all(self) -> None:
        """Delete all deployments with their runs, and runs without a deployment."""
        names = [each["name"] for each in self.kubeflow("list")["data"]["deployments"]]
        if names:
            self.devstack.run("kubeflow", "delete", "--force", *names)
        self.kfp(
            """
            found = [each.run_id for each in client.list_runs(page_size=100).runs or []]
            for run_id in found:
                client.delete_run(run_id)
            """
        )
