"""`devstack ENGINE`, and a slow run whose pods and services tests take away.

It works for Argo and for Kubeflow Pipelines, whose runs are workflows of the same controller.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.support.commandline import Devstack
from tests.support.eventually import eventually

SLOW_FLOW = Path(__file__).parents[1] / "argo" / "flows" / "slow.py"
"""Its first step prints INTERRUPTIBLE, waits, and stores the number of its attempt."""

RUN_SECONDS = 600
WORKFLOW = "workflows.argoproj.io/workflow"
"""The label of a workflow's pods, and of the JobSets that Metaflow creates in it."""

INTERRUPTIBLE = "the step can be interrupted"
"""What SLOW_FLOW prints; the log of a pod that has not started says that it is waiting."""
OUTAGE_SECONDS = 30
RECREATED_SECONDS = 15.0
"""Argo creates a pod again, for the same attempt, that is gone ten seconds after its start."""


def call_engine(stack: Devstack, engine: str, *argv: str, check: bool = True) -> dict[str, Any]:
    """Run a command of `devstack ENGINE`; return the envelope."""
    verb, *rest = argv
    limit = RUN_SECONDS + 60
    done = stack.run(engine, verb, "--json", *rest, check=check, timeout=limit)
    envelope: dict[str, Any] = json.loads(done.stdout)
    return envelope


def run_to_end(
    stack: Devstack, engine: str, name: str, *options: str, check: bool = True
) -> dict[str, Any]:
    """Trigger a run and wait until it ends; return the envelope."""
    argv = ("trigger", name, "--wait", "--timeout", str(RUN_SECONDS), *options)
    return call_engine(stack, engine, *argv, check=check)


def task_objects(stack: Devstack, kind: str, *selection: str) -> list[dict[str, Any]]:
    """Return objects of the task namespace."""
    query = ("get", kind, "--namespace=metaflow", "--output=json", *selection)
    found: list[dict[str, Any]] = json.loads(stack.admin_kubectl(*query).stdout)["items"]
    return found


def deploy_twice(stack: Devstack, engine: str, *argv: str) -> list[dict[str, Any]]:
    """Deploy a flow by two commands at the same time; return their envelopes."""
    deploying = [stack.start(engine, "deploy", "--json", *argv) for _ in range(2)]
    return [json.loads(each.communicate(timeout=RUN_SECONDS)[0]) for each in deploying]


@dataclass(frozen=True)
class SlowRun:
    """A run of SLOW_FLOW whose first step waits.

    Attributes:
        stack: the stack.
        run: the run, as `devstack ENGINE runs` has it.
        follower: the command that follows it.
    """

    stack: Devstack
    run: dict[str, Any]
    follower: subprocess.Popen[str]

    def succeeded(self) -> dict[str, Any]:
        """Wait for the command that follows the run; return the run."""
        output, errors = self.follower.communicate(timeout=RUN_SECONDS + 60)
        envelope = json.loads(output)
        assert envelope["status"] == "ok", (envelope["error"], errors)
        run: dict[str, Any] = envelope["data"]
        assert run["state"] == "succeeded"
        return run

    def delete_pod(self) -> None:
        """Delete the pod of its first step, the only one that runs, without warning."""

        def running() -> list[str]:
            return [
                pod["metadata"]["name"]
                for pod in task_objects(self.stack, "pods", f"--selector={WORKFLOW}")
                if pod["status"]["phase"] == "Running" and _age(pod) > RECREATED_SECONDS
            ]

        eventually("the pod to be one that is not created again", running)
        (name,) = running()
        target = ("pod", name, "--namespace=metaflow")
        self.stack.admin_kubectl("delete", *target, "--grace-period=0", "--force")


def _age(pod: dict[str, Any]) -> float:
    started = datetime.strptime(pod["status"]["startTime"], "%Y-%m-%dT%H:%M:%S%z")
    return (datetime.now(timezone.utc) - started).total_seconds()


def start_slow_run(stack: Devstack, engine: str, name: str, *options: str) -> SlowRun:
    """Trigger a run of SLOW_FLOW, and wait until its first step waits.

    Args:
        stack: the stack, without other runs.
        engine: the engine.
        name: the deployment.
        options: of `trigger`.
    """
    waiting = ("--wait", "--timeout", str(RUN_SECONDS))
    follower = stack.start(engine, "trigger", "--json", name, *waiting, *options)

    def runs() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = call_engine(stack, engine, "runs", name)["data"]["runs"]
        return found

    def waits() -> bool:
        return any(INTERRUPTIBLE in _log(stack, engine, each["run_id"]) for each in runs())

    eventually("the first step to begin", waits, timeout=180, interval=2)
    return SlowRun(stack, runs()[0], follower)


def _log(stack: Devstack, engine: str, run_id: str) -> str:
    # There is none before the first pod runs.
    data = call_engine(stack, engine, "logs", run_id, "start", check=False)["data"] or {}
    return "\n".join(line for log in data.get("logs", []) for line in log["lines"])


def kill_controller(stack: Devstack) -> None:
    """Kill Argo's controller without warning."""
    labels = "app.kubernetes.io/name=argo,app.kubernetes.io/component=controller"
    query = ("pod", "--namespace=argo", f"--selector={labels}")
    stack.admin_kubectl("delete", *query, "--grace-period=0", "--force")


def lose_minio(stack: Devstack) -> None:
    """Stop MinIO for OUTAGE_SECONDS."""
    with scaled_to_zero(stack, "minio", "devstack"):
        time.sleep(OUTAGE_SECONDS)


@contextmanager
def scaled_to_zero(stack: Devstack, deployment: str, namespace: str) -> Iterator[None]:
    """Stop a Deployment, and start it again at the end."""
    scale = ("scale", f"deployment/{deployment}", f"--namespace={namespace}")
    stack.admin_kubectl(*scale, "--replicas=0")
    try:
        yield
    finally:
        stack.admin_kubectl(*scale, "--replicas=1")
