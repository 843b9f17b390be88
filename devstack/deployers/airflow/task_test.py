"""Run one task of a DAG in the scheduler's pod, without recording its state."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from devstack.airflow.client import AirflowClient, quoted
from devstack.airflow.dags import find_dag_details
from devstack.deployers.airflow.lookup import unknown_dag
from devstack.deployers.airflow.parameter_values import run_conf
from devstack.deployers.airflow.scheduler_pod import SchedulerPod, program_text
from devstack.deployers.names import shown
from devstack.errors import DevstackError, ExitStatus
from devstack.stack import Stack
from devstack.validation import suggest

_STOP_TIMEOUT = 60.0
_STOP = 'test ! -e "$1" || kill -TERM "$(cat "$1")"'


@dataclass(frozen=True)
class TaskTest:
    """What to test.

    Attributes:
        dag_id: the DAG.
        task_id: the task.
        map_index: the item of a mapped task; -1 for others.
        date: the logical date, ISO 8601; now if empty.
        run_id: the existing run whose context the task gets; a temporary one if empty.
        parameters: values by name, as typed by the user.
    """

    dag_id: str
    task_id: str
    map_index: int = -1
    date: str = ""
    run_id: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_task(name: str) -> tuple[str, int]:
    """Return the task and the map index of ``work[2]``; -1 if it has none."""
    step, bracket, index = name.partition("[")
    if bracket and index.endswith("]") and index[:-1].isdecimal():
        return step, int(index[:-1])
    return name, -1


def run_task_test(
    stack: Stack, client: AirflowClient, test: TaskTest, on_line: Callable[[str], None]
) -> int:
    """Run a task; return the exit status of the test.

    If it is interrupted, the task is stopped as Airflow stops tasks.

    Args:
        stack: the stack.
        client: its Airflow.
        test: what to test.
        on_line: called with each line of the task's log.

    Raises:
        DevstackError: ``DAG_UNKNOWN``, ``TASK_UNKNOWN``, ``PARAMETER_WRONG``, or those
            of :class:`SchedulerPod`.
    """
    arguments: dict[str, Any] = {
        "dag_id": test.dag_id,
        "task_id": test.task_id,
        "map_index": test.map_index,
        "date": test.date,
        "run_id": test.run_id,
        "conf": _checked_conf(client, test),
        "pid_file": f"/tmp/devstack-test-{secrets.token_hex(6)}.pid",  # noqa: S108 - in the pod
    }
    _require_task(client, test)
    pod = SchedulerPod(stack)
    try:
        text = program_text("test_task", arguments)
        return pod.exec(["python3", "-"], text, timeout=None, on_line=on_line).returncode
    except BaseException:
        # Only kubectl has ended.
        pod.exec(["sh", "-c", _STOP, "stop", arguments["pid_file"]], timeout=_STOP_TIMEOUT)
        raise


def _checked_conf(client: AirflowClient, test: TaskTest) -> dict[str, Any]:
    details = find_dag_details(client, test.dag_id)
    if details is None:
        raise unknown_dag(client, test.dag_id)
    return run_conf(details, test.parameters, "devstack airflow test --param NAME=VALUE")


def _require_task(client: AirflowClient, test: TaskTest) -> None:
    tasks = client.get(f"/dags/{quoted(test.dag_id)}/tasks")["tasks"]
    mapped = {task["task_id"]: bool(task.get("is_mapped")) for task in tasks}
    if test.task_id not in mapped:
        cause = f"it has {shown(sorted(mapped))}"
        raise _unknown(test, cause, f"name one of these{suggest(test.task_id, mapped)}")
    if mapped[test.task_id] and test.map_index < 0:
        raise _unknown(
            test,
            "it is mapped, so a test needs one of its items",
            f"devstack airflow test {test.dag_id} '{test.task_id}[0]'",
        )
    if not mapped[test.task_id] and test.map_index >= 0:
        raise _unknown(test, "it is not mapped", f"name it without [{test.map_index}]")


def _unknown(test: TaskTest, cause: str, remedy: str) -> DevstackError:
    return DevstackError(
        f"cannot test {test.task_id!r} of {test.dag_id}",
        cause=cause,
        remedy=remedy,
        code="TASK_UNKNOWN",
        exit_status=ExitStatus.USAGE,
    )
