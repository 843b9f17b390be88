"""Commands that tests run with flows on Argo."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.airflow.metaflow_client import run_client
from tests.support import engines
from tests.support.commandline import Devstack
from tests.support.engines import RUN_SECONDS, WORKFLOW

__all__ = ["RUN_SECONDS", "WORKFLOW"]

FLOWS = Path(__file__).parent / "flows"


def argo(stack: Devstack, *argv: str, check: bool = True) -> dict[str, Any]:
    """Run a command of `devstack argo`; return the envelope."""
    return engines.call_engine(stack, "argo", *argv, check=check)


def deploy(stack: Devstack, flow: str, *options: str) -> str:
    """Deploy one of FLOWS; return the name of its template."""
    return str(argo(stack, "deploy", str(FLOWS / flow), *options)["data"]["template"])


def run_to_end(stack: Devstack, template: str, *options: str, check: bool = True) -> dict[str, Any]:
    """Trigger a run and wait until it ends; return the envelope."""
    return engines.run_to_end(stack, "argo", template, *options, check=check)


def succeeded(stack: Devstack, flow: str, *options: str) -> dict[str, Any]:
    """Deploy one of FLOWS and run it to success; return the run."""
    run: dict[str, Any] = run_to_end(stack, deploy(stack, flow), *options)["data"]
    assert run["state"] == "succeeded"
    return run


def artifact(stack: Devstack, flow: str, run: Mapping[str, Any], step: str, name: str) -> Any:
    """Return an artifact of a step with one task, read with Metaflow's client."""
    task = f"Run('{flow}/{run['metaflow_run_id']}')['{step}'].task"
    return run_client(stack, f"found = {task}.data.{name}")


def in_shell(stack: Devstack, flow: str, *argv: str) -> str:
    """Run Metaflow's own command in `devstack shell`; return its output."""
    command = (sys.executable, str(FLOWS / flow), "argo-workflows", *argv)
    done = stack.run("shell", "--", *command)
    return done.stdout + done.stderr


def objects(stack: Devstack, kind: str, *selection: str) -> list[dict[str, Any]]:
    """Return objects of the task namespace."""
    return engines.task_objects(stack, kind, *selection)


def delete_all(stack: Devstack) -> None:
    """Delete all deployments with their runs."""
    names = [each["name"] for each in argo(stack, "list")["data"]["deployments"]]
    if names:
        stack.run("argo", "delete", "--force", *names)
