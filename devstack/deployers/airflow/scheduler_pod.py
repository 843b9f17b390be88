"""Programs that run inside a scheduler's pod, where Airflow's own Python is.

Used for what the REST API does not offer. A program is sent on standard input, so
that the image does not depend on this version of devstack; arguments travel the same
way, because a command line is visible to every process of the pod.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.errors import DevstackError
from devstack.process import Completed
from devstack.services.airflow.installation import SCHEDULER
from devstack.stack import Stack

CONTAINER = "scheduler"
RESULT = "DEVSTACK_RESULT "
"""Starts the line of a program's output that holds its result, as JSON."""

PROGRAM_TIMEOUT = 120.0
"""Seconds for a program; most of them is importing Airflow while tasks run."""

_PROGRAMS = Path(__file__).parent / "programs"
_SHOWN_LINES = 15


@dataclass(frozen=True)
class SchedulerPod:
    """Runs programs in the pod of a running scheduler.

    Attributes:
        stack: the stack.
    """

    stack: Stack

    def exec(
        self,
        command: Sequence[str],
        text: str = "",
        *,
        timeout: float | None = PROGRAM_TIMEOUT,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        """Run a command in the scheduler's container.

        Args:
            command: the command; never a secret.
            text: its standard input.
            timeout: seconds after which it is given up; unlimited if None.
            on_line: called with each line of its output as it appears.

        Raises:
            DevstackError: ``SCHEDULER_DOWN`` or ``TOOL_TIMEOUT``.
        """
        namespace = self.stack.installation.namespace
        return self.stack.execute(
            namespace,
            self.name(),
            command,
            text,
            container=CONTAINER,
            timeout=timeout,
            on_line=on_line,
        )

    def run_program(self, name: str, arguments: Mapping[str, Any], what: str) -> Any:
        """Run a program of the folder ``programs`` and return its result.

        Args:
            name: the file's name without ``.py``.
            arguments: the arguments of its function ``main``; any JSON.
            what: completes "cannot ..." if it fails.

        Raises:
            DevstackError: ``AIRFLOW_PROGRAM_FAILED`` with the end of its output, or
                those of :meth:`exec`.
        """
        done = self.exec(["python3", "-"], program_text(name, arguments))
        found = result_of(done.stdout)
        if done.ok and found is not None:
            return found
        raise DevstackError(
            f"cannot {what}",
            cause=last_line(done.stderr) or f"the program ended with status {done.returncode}",
            remedy="check the scheduler with `devstack status` and `devstack logs airflow`",
            code="AIRFLOW_PROGRAM_FAILED",
            output="\n".join(done.stderr.splitlines()[-_SHOWN_LINES:]),
        )

    def name(self) -> str:
        """Return the name of a pod whose scheduler runs.

        Raises:
            DevstackError: ``SCHEDULER_DOWN``.
        """
        namespace = self.stack.installation.namespace
        pods = self.stack.kube().list_objects("v1", "Pod", namespace, labels=SCHEDULER)
        for pod in pods:
            statuses = pod.get("status", {}).get("containerStatuses") or []
            running = any(
                "running" in each.get("state", {})
                for each in statuses
                if each.get("name", CONTAINER) == CONTAINER
            )
            if running and "deletionTimestamp" not in pod["metadata"]:
                return str(pod["metadata"]["name"])
        raise DevstackError(
            "Airflow's scheduler is not running",
            cause="its pod is not running" if pods else "it has no pod",
            remedy="devstack why, devstack logs airflow; `devstack up` restores it",
            code="SCHEDULER_DOWN",
        )


def program_text(name: str, arguments: Mapping[str, Any]) -> str:
    """Return a program that calls its function ``main`` with the arguments."""
    text = (_PROGRAMS / f"{name}.py").read_text()
    return f"{text}\n\nmain(**json.loads({json.dumps(arguments)!r}))\n"


def result_of(output: str) -> Any:
    """Return the result in a program's output; None if it has none."""
    lines = [line for line in output.splitlines() if line.startswith(RESULT)]
    return json.loads(lines[-1].removeprefix(RESULT)) if lines else None


def last_line(text: str) -> str:
    """Return the last line that is not empty; empty if there is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
